"""The classic method: refine tiles and deepen their simulations where the bound is worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from adagrid._typing import FloatArray, IdArray, IntArray
from adagrid.records import JobRecord, read_records
from adagrid.settings.goals import Validation
from adagrid.settings.method import Method, Problem, Words
from adagrid.settings.settings import Settings
from adagrid.stores import Store
from adagrid.stores.layouts.tiles import TileLayout
from adagrid.stores.tables import Columns, Table

if TYPE_CHECKING:
    from adagrid.methods.tiles.algorithm import TileAlgorithm
    from adagrid.refutation.spots import Spots
    from adagrid.runtime.job import AnyJob
    from adagrid.runtime.progress import StepReport
    from adagrid.runtime.status import Status


@final
class Classic(Method):
    """The classic method: it refines the worst tiles.

    It splits the worst tiles, or doubles their simulations. The simulations that choose the tiles also give the bound,
    so the result is only a search. `Run.certify` turns it into a certificate, with fresh simulations of the tiles.

    Args:
        init_sims: simulations of a tile of the initial grid.
        max_sims: the most simulations that a tile may get: init_sims times a power of two.
        step_size: tiles that a zone works on in one step.
        min_rank: tiles whose threshold is one of this many smallest statistics come first (calibrations).
        n_bootstrap: number of bootstrap resamples of each kind (calibrations).
        bootstrap_seed: seed of the bootstrap resamples (calibrations).

    Raises:
        InvalidInputError: naming every value that breaks its rule.

    Examples:
        >>> ada.Classic(init_sims=1024, max_sims=8192)
        Classic(init_sims=1024, max_sims=8192, step_size=1024, min_rank=40, n_bootstrap=50, bootstrap_seed=0)
    """

    name = "classic"
    layout = TileLayout()
    words_for = Words(
        rows="active tiles",
        around="",
        uncertified="search only: the simulations that chose the tiles also gave their figures; certify() certifies",
    )
    knows_grid = False
    finishes_steps = True

    init_sims: int = Field(default=8192, ge=1, lt=2**31, description="a positive whole number of simulations")
    max_sims: int = Field(default=131072, ge=1, lt=2**31, description="init_sims times a power of two")
    step_size: int = Field(default=1024, ge=1, description="a positive whole number of tiles")
    min_rank: int = Field(default=40, ge=1, description="a positive whole number")
    n_bootstrap: int = Field(default=50, ge=0, description="a whole number from 0")
    bootstrap_seed: int = Field(default=0, ge=0, lt=2**63, description="a whole number from 0")

    @model_validator(mode="after")
    def _sims_double(self) -> Classic:
        ratio, rest = divmod(self.max_sims, self.init_sims)
        if rest or ratio < 1 or ratio & (ratio - 1):
            raise ValueError(
                "max_sims must be init_sims times a power of two (1, 2, 4, ...), because deepening doubles; got "
                f"init_sims={self.init_sims}, max_sims={self.max_sims}. For example max_sims={16 * self.init_sims}."
            )
        return self

    @property
    @override
    def first_sims(self) -> int:
        return self.init_sims

    @property
    @override
    def many_sims(self) -> int:
        return max(self.init_sims, self.max_sims // 16)

    @override
    def still_changeable(self, settings: Settings, kinds: Sequence[str]) -> frozenset[str]:
        return settings.procedural - {"n_steps"} if "certify" in kinds else settings.changeable

    @override
    def algorithm(self, problem: Problem) -> TileAlgorithm:
        from adagrid.methods.tiles.calibration import TileCalibration
        from adagrid.methods.tiles.validation import TileValidation

        if isinstance(problem.settings.goal, Validation):
            return TileValidation(problem.settings, problem.hypotheses, exact=problem.exact)
        return TileCalibration(problem.settings, exact=problem.exact)

    @override
    def columns(self, algorithm: Any, dtype: np.dtype[Any]) -> Mapping[Table, Columns]:
        return {"results": algorithm.result_columns(dtype)}

    @override
    def run(self, job: AnyJob, *, is_new: bool) -> Status:
        from adagrid.methods.tiles.search import search

        return search(job)

    @override
    def finish_begun(self, job: AnyJob) -> None:
        from adagrid.methods.tiles.search import finish_begun_steps

        finish_begun_steps(job)

    @override
    def certify(self, job: AnyJob) -> None:
        from adagrid.methods.tiles.certify import certify

        certify(job)

    @override
    def spots(self, job: AnyJob, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
        from adagrid.methods.tiles.spots import spots

        return spots(job, self.outcome(job.store, job.record), number, shift)

    @override
    def outcome(self, store: Store, record: JobRecord) -> Table:
        coordinations = store.table("coordinations")
        if not len(coordinations) or coordinations["kind"].iloc[-1] != "certify":
            return "results"
        last = int(coordinations["coordination_id"].iloc[-1])
        finished = [store.last_step(last, zone) is not None for zone in range(record.n_zones)]
        return "certificate" if all(finished) else "results"

    @override
    def simulated_for(self, outcome: Table) -> Table:
        return outcome

    @override
    def covers(self, store: Store, record: JobRecord) -> bool:
        return all(store.last_step(0, zone) is not None for zone in range(record.n_zones))

    @override
    def certified(self, store: Store, record: JobRecord) -> bool:
        if record.computed:
            return self.covers(store, record)
        return self.is_fixed(store, record) or self.outcome(store, record) == "certificate"

    @override
    def is_fixed(self, store: Store, record: JobRecord) -> bool:
        if self.max_sims != self.init_sims or not self.covers(store, record):
            return False
        asked = all(record.settings.n_steps == 1 for record in read_records(store))
        return asked and not store.table("steps")["step_id"].any()

    @override
    def inconsistent_rows(self, store: Store, record: JobRecord) -> IdArray:
        from adagrid.methods.tiles.audit import inconsistent_rows

        return inconsistent_rows(store, record)

    @override
    def work_done(self, counts: Mapping[str, int], n_coordinations: int, *, computed: bool) -> str:
        del n_coordinations
        spent = f"{counts['simulations']:,} simulations behind the results"
        return (
            f"{counts['tiles']:,} tiles created, {counts['active']:,} active, {counts['steps']:,} steps, "
            f"{'errors computed, not simulated' if computed else spent}"
        )

    @override
    def progress_line(self, report: StepReport, figures: str) -> str:
        zone = f" zone {report.step.zone_id}" if report.step.zone_id else ""
        line = f"step {report.step.step_id:>3}{zone}  {report.n_active:>6,} tiles (+{report.n_tiles:,})  "
        return line + (figures and f"was: {figures}")
