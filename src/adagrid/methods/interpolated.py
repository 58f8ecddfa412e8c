"""The interpolated method: certify cells between simulated points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from adagrid._typing import FloatArray, IdArray, IntArray
from adagrid.records import JobRecord
from adagrid.settings.goals import Calibration, Goal, Validation
from adagrid.settings.method import Method, Problem, Words
from adagrid.settings.settings import Settings
from adagrid.stores import Store
from adagrid.stores.layouts.cells import CellLayout
from adagrid.stores.tables import Columns, Table

if TYPE_CHECKING:
    from adagrid.methods.cells.algorithm import CellAlgorithm
    from adagrid.refutation.spots import Spots
    from adagrid.runtime.job import AnyJob
    from adagrid.runtime.progress import StepReport
    from adagrid.runtime.status import Status


@final
class Interpolated(Method):
    """The default method: it certifies cells between simulated points.

    A pilot plans the points and their numbers of simulations so that the targets are met. The method needs far fewer
    simulations than `Classic`, and certifies as it runs. Give it a coarse grid.

    Args:
        min_rank: each point gets enough simulations to have its threshold above this many smallest statistics
            (calibrations).
        n_bootstrap: number of bootstrap resamples that estimate bias and standard deviation (calibrations).
        bootstrap_seed: seed of the bootstrap resamples (calibrations).

    Raises:
        InvalidInputError: naming every value that breaks its rule.

    Examples:
        >>> ada.Interpolated(n_bootstrap=100)
        Interpolated(min_rank=40, n_bootstrap=100, bootstrap_seed=0)
    """

    name = "interpolated"
    layout = CellLayout()
    words_for = Words(
        rows="cells (boxes around them; the least simulations at a corner)",
        around="a cell around ",
        uncertified="none yet: no pass has certified the region",
    )
    knows_grid = True
    finishes_steps = False  # a round is finished as it was planned

    min_rank: int = Field(default=40, ge=1, description="a positive whole number")
    n_bootstrap: int = Field(default=50, ge=0, description="a whole number from 0")
    bootstrap_seed: int = Field(default=0, ge=0, lt=2**63, description="a whole number from 0")

    @override
    def problems(self, goal: Goal) -> Sequence[str]:
        zero = sorted(name for name in goal.targets if getattr(goal, name) <= 0)
        kind = "a validation" if isinstance(goal, Validation) else "a calibration"
        problems = []
        if zero:
            problems.append(
                f"{' and '.join(zero)} must be above 0 in {kind} by interpolation, because numbers of simulations are "
                "planned to meet them; got 0."
            )
        if isinstance(goal, Calibration) and self.n_bootstrap < 2:
            problems.append(
                "n_bootstrap must be at least 2 in a calibration by interpolation, because bias_target and "
                f"std_target are estimated from resamples; got {self.n_bootstrap}."
            )
        return problems

    @property
    @override
    def many_sims(self) -> int:
        from adagrid.engine import MAX_SIMS

        return MAX_SIMS

    @override
    def still_changeable(self, settings: Settings, kinds: Sequence[str]) -> frozenset[str]:
        accepted = isinstance(settings.goal, Calibration) and "pass" in kinds
        return settings.procedural if accepted else settings.changeable

    @override
    def algorithm(self, problem: Problem) -> CellAlgorithm:
        from adagrid.methods.cells.calibration import CellCalibration
        from adagrid.methods.cells.validation import CellValidation

        model, tiles = problem.model, problem.tiles
        assert tiles is not None  # noqa: S101 - see `knows_grid`
        common = (problem.settings, model.family, tiles, problem.hypotheses, problem.exact)
        if isinstance(problem.settings.goal, Validation):
            return CellValidation(*common)
        return CellCalibration(*common, direction=model.direction)

    @override
    def columns(self, algorithm: Any, dtype: np.dtype[Any]) -> Mapping[Table, Columns]:
        return {
            "pilot": algorithm.pilot_columns(dtype),
            "vertices": algorithm.vertex_columns(dtype),
            "certificate": algorithm.certificate_columns,
        }

    @override
    def run(self, job: AnyJob, *, is_new: bool) -> Status:
        from adagrid.methods.cells.rounds import run_cells

        return run_cells(job, is_new=is_new)

    @override
    def spots(self, job: AnyJob, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
        from adagrid.methods.cells.spots import spots

        return spots(job, number, shift)

    @override
    def outcome(self, store: Store, record: JobRecord) -> Table:
        return "certificate"

    @override
    def simulated_for(self, outcome: Table) -> Table:
        return "vertices"

    @override
    def covers(self, store: Store, record: JobRecord) -> bool:
        done = store.table("done")
        replaced = done["id"][done["active"] == 0]
        return bool(store.table("tiles")["id"].isin(replaced).all())

    @override
    def certified(self, store: Store, record: JobRecord) -> bool:
        return self.covers(store, record)

    @override
    def inconsistent_rows(self, store: Store, record: JobRecord) -> IdArray:
        from adagrid.methods.cells.audit import inconsistent_rows

        return inconsistent_rows(store, record)

    @override
    def work_done(self, counts: Mapping[str, int], n_coordinations: int, *, computed: bool) -> str:
        spent = "errors are computed: no simulations" if computed else f"{counts['simulations']:,} simulations"
        return (
            f"{counts['points']:,} points, {counts['active']:,} cells between them, {n_coordinations:,} rounds, {spent}"
        )

    @override
    def progress_line(self, report: StepReport, figures: str) -> str:
        return f"round {report.step.step_id}  {report.n_tiles:>6,} points, {report.n_active:,} cells  {figures}"
