"""Reads the results of a job from its tables, during the run or years later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Literal, final

import numpy as np
import pandas as pd

from adagrid._numpy_settings import usual_numpy_errors
from adagrid._plain import plain
from adagrid.copies.export import export
from adagrid.copies.importing import import_export
from adagrid.copies.snapshot import write_snapshot
from adagrid.errors import InvalidInputError, StoreError
from adagrid.estimation import below_rounding
from adagrid.records import read_data, read_records, reading
from adagrid.refutation import Evidence
from adagrid.results.columns import display_columns
from adagrid.results.summary import summary
from adagrid.runtime.evidence import SpotEvidence, read_evidence, read_spots
from adagrid.runtime.reported_status import reported_status
from adagrid.runtime.status import Status
from adagrid.runtime.verification import verify_job
from adagrid.settings.settings import Settings
from adagrid.stores import Store
from adagrid.stores._duckdb_files import Format
from adagrid.stores.open import open_reading
from adagrid.stores.tables import Table

# The columns of tables that are JSON.
_JSON: Mapping[Table, Sequence[str]] = {"reports": ["content"], "config": ["record", "environment"]}


@final
class Run:
    """The result of a job, read from its tables.

    `ada_validate`, `open_job` and their relatives return it. It is a context manager that closes the database.

    Args:
        store: the job's open store.
        status: how the run ended; read from the job's reports if None.
        certify: certifies the job that ran in this process; None if the job was opened to be read.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> with ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024) as run:
        ...     print(run.guarantee, len(run.results()), run.bound < 0.1)
        certified 2 True
    """

    def __init__(self, store: Store, status: Status | None = None, certify: Callable[[], object] | None = None) -> None:
        self._store = store
        self._certify = certify
        self.record = read_records(store)[-1]
        self.status = status or reported_status(store)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return plain(f"<{self.record.kind} job {self.record.job_id!r} in {self.db}: {self.status.name}>")

    @property
    def db(self) -> str:
        """The location of the database."""
        return self._store.location

    @property
    def converged(self) -> bool:
        """Whether all targets are met."""
        return self.status is Status.CONVERGED

    @property
    def settings(self) -> Settings:
        """The settings of the job's last run."""
        return self.record.settings

    @property
    def guarantee(self) -> Literal["certified", "search only"]:
        """Whether the bound or threshold is a certificate.

        "certified": it rests on simulations that did not choose where and how often to simulate (a fresh pass, or a
        fixed grid), or on computed errors. "search only": it rests on the simulations of the search itself, or the job
        has certified nothing yet.
        """
        certified = self.covered and self.record.method.certified(self._store, self.record)
        return "certified" if certified else "search only"

    @property
    def is_fixed(self) -> bool:
        """Whether the job simulated a fixed grid once, without adaptation.

        The settings must have said so from the start of the job.
        """
        return self.record.method.is_fixed(self._store, self.record)

    @usual_numpy_errors
    def certify(self) -> Run:
        """Certify the grid of a search with fresh simulations.

        The grid is frozen. The fresh simulations have seeds that the search did not use. A job can be certified once,
        and cannot be continued afterwards, because a choice between several passes would void their guarantee. If the
        pass is interrupted, call `certify` again to finish it. Interpolated jobs certify as they run, and fixed grids
        are certified already: nothing happens then.

        Returns:
            This run. Its `bound`, `threshold`, `results` and `summary` now describe the certificate.

        Raises:
            InvalidInputError: if the job was opened to be read, or its initial grid is not simulated.
        """
        if self.guarantee == "certified":
            return self
        if self._certify is None:
            raise InvalidInputError(
                "A job that was opened to be read cannot be certified. Continue it (give ada_validate or "
                "ada_calibrate its design and db=), and call certify() on what that returns."
            )
        if not self.record.method.covers(self._store, self.record):
            raise InvalidInputError(
                f"{self.db}: there is nothing to certify before the region is simulated. Continue the job with more "
                "steps or a longer timeout."
            )
        self._certify()
        if self.refuted:
            self.status = Status.REFUTED
        return self

    @property
    def bound(self) -> float:
        """The bound of the quantity over the region.

        It holds with confidence 1 - delta at each parameter value. For the Type I Error or a mean it is the upper
        bound, for power the lower bound. Until the whole region has a bound, it is the trivial bound, such as 1 for an
        error. For a calibration it is alpha: the threshold keeps the error at or below alpha on average, or with the
        setting `confidence`.
        """
        quantity = self.record.quantity
        if quantity is None:
            return self.settings.calibration.alpha
        largest = float(self._extreme()["tie_bound"].iloc[0]) if self.covered else 1.0
        lower, upper = quantity.interval(largest, largest)
        return float(lower if quantity.side == "lower" else upper)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound of the quantity over the region.

        Each holds with confidence 1 - delta at each parameter value.

        Raises:
            InvalidInputError: for a calibration.
        """
        quantity = self.record.quantity
        if quantity is None:
            raise InvalidInputError("A calibration bounds the error by alpha; two-sided bounds are of validations.")
        least, largest = 0.0, 1.0
        if self.covered:
            lowest = self._store.extreme("tie_lower", largest=False, name=self._outcome, count=1)
            least, largest = float(lowest["tie_lower"].iloc[0]), float(self._extreme()["tie_bound"].iloc[0])
        lower, upper = quantity.interval(least, largest)
        return float(lower), float(upper)

    @property
    def threshold(self) -> float:
        """The rejection threshold in the model's own direction.

        It is NaN for a mean, where nothing is rejected. A calibrated threshold is infinite, and never rejects, until
        the whole region has a threshold. It is stricter than the simulated one by more than the rounding of single
        precision, so a statistic equal to the simulated one does not reject on any machine.
        """
        if self.record.kind == "validate":
            threshold = self.settings.validation.threshold
            return np.nan if threshold is None else float(threshold)
        star = self._extreme()["lambda_star"].iloc[0] if self.covered else -np.inf
        return float(self.record.model.direction * below_rounding(star))

    def worst_tile(self) -> pd.Series:
        """Return the row that sets the bound or threshold.

        It has the largest bound, or the strictest threshold.

        Raises:
            StoreError: if the initial grid has not been simulated to the end.
        """
        if not self.covered:
            raise StoreError(f"{self.db}: nothing decides before the region is simulated. Continue the job.")
        return self._for_display(self._extreme()).astype(object).iloc[0]  # as objects, because an id is no float

    def worst_tiles(self, count: int = 10) -> pd.DataFrame:
        """Return the worst rows of results, the worst first.

        Args:
            count: the most rows to return.
        """
        return self._for_display(self._extreme(count))

    @usual_numpy_errors
    def slack(self) -> pd.DataFrame:
        """Return the slack between active bounds and estimates, by source.

        Returns:
            Columns `column`, `least`, `mean` and `greatest`; a row for each of `grid_cost`, and of validations
            `sim_cost` and `total_cost` (see `results`).
        """
        costs = ["grid_cost", "sim_cost", "total_cost"] if self.record.kind == "validate" else ["grid_cost"]
        return self._store.spread(costs, self._outcome)

    @usual_numpy_errors
    def results(self, *, active: bool = True) -> pd.DataFrame:
        """Return one row per simulated tile or certified cell.

        After `certify`, the rows are those of the fresh pass.

        All jobs have these columns:

        - `theta*` and `radius*`: centre and half-widths of the tile.
        - `null_truth*`: which hypotheses are true on the tile (curved hypotheses: may be true). Only their rejections
          count.
        - `n_sims`: simulations of the tile.
        - `coordination_id`, `zone_id`, `step_id` and `position`: where in the job the tile was made.
        - `parent_id`: the tile that it was made from. `volume`: its share of the region, as a volume.
        - `worker_id` and `time`: who simulated it, and when (seconds since 1970).
        - `design`: the version of the design that was simulated (see `share_of_other_designs`). Interpolated jobs have
          it in the table `vertices`.

        Validations add (tie is short for Type I Error):

        - `rejections`, and `tie_estimate`, their share.
        - `tie_point_lower` and `tie_point_bound`: lower and upper confidence limits at the centre.
        - `tie_lower` and `tie_bound`: lower and upper bounds over the tile. The lower bound is 0 where too many
          rejections may count.
        - `grid_cost`, `sim_cost` and `total_cost`: the slack of the upper bound due to the size of the tile, due to the
          number of simulations, and both together.

        If power is bounded, these figures describe the Type II Error, except `rejections`. `power_estimate`,
        `power_lower` and `power_upper` describe the power. If a mean is bounded, they describe the statistic, rescaled
        to [0, 1], and `rejections` counts the trials that randomly round it up to 1. `mean_estimate`, `mean_lower` and
        `mean_upper` describe the mean itself.

        Calibrations add:

        - `alpha0`: the level at the centre that keeps alpha on the tile.
        - `rank` and `lambda_star`: the order statistic that keeps `alpha0`, with the sign that makes small ones reject.
        - `threshold`: `lambda_star` in the model's own direction, made stricter like `Run.threshold`.
        - `grid_cost`, and `impossible`: whether the rank is too low to be useful.
        - thresholds of bootstrap resamples.

        In an interpolated job a row is a cell. `theta*` and `radius*` are the box around it. `point*` are ids of its
        vertices (see the table `vertices`). `n_sims` is the least number of simulations at a vertex, or 0 if errors are
        computed. `tie_estimate` and `tie_point_bound` are the largest values at a vertex. In a calibration,
        `tie_bound` is the bound of the error that follows from the levels at the vertices, at most alpha, and `alpha0`
        is the level at the vertex with the least `lambda_star`.

        Args:
            active: whether to leave out tiles or cells that smaller or deeper ones have replaced.
        """
        return self._for_display(self._store.results(self._outcome, active=active))

    def table(self, name: Table) -> pd.DataFrame:
        """Return a whole table of the job.

        docs/storage.md describes all tables.

        Args:
            name: such as "tiles", "done", "steps", "coordinations", "reports", "logs", "config", "null_hypos", "lines"
                and "spots"; in an interpolated job also "points", "pilot", "vertices" and "cells". The JSON columns of
                "reports" and "config" become dictionaries.

        Raises:
            InvalidInputError: if the job has no such table.
        """
        if name not in self._store.schema.tables:
            raise InvalidInputError(
                f"The job has no table {name!r}. It has {', '.join(sorted(self._store.schema.tables))}."
            )
        rows = self._store.table(name)
        return rows.assign(**{column: read_data(rows[column], self.db) for column in _JSON.get(name, ())})

    @property
    def changed_model(self) -> bool:
        """Whether the job was continued with a changed design.

        The user accepted this with `accept_changed_model`.
        """
        return any(record.design for record in read_records(self._store))

    @property
    def share_of_other_designs(self) -> float:
        """Share of simulations with earlier versions of the design.

        It counts the simulations that the bound or threshold rests on. `record` has the number of the last version. The
        column `design` of the tables has the version of each row, and each record in `config` has its own version.
        """
        if not self.changed_model:
            return 0.0
        name = self.record.method.simulated_for(self._outcome)
        rows = self._store.between(name, {}, ["design", "n_sims"])
        other, spent = rows["design"].to_numpy() != self.record.design, rows["n_sims"].to_numpy(float)
        spent = spent if spent.any() else np.ones(len(rows))  # computed errors
        return float(spent[other].sum() / max(spent.sum(), 1.0))

    @property
    def refuted(self) -> bool:
        """Whether simulations contradict the declared family or computed errors.

        A refuted job certifies nothing.
        """
        found = (self.evidence, self.spot_evidence)
        return any(each is not None and each.refutes for each in found)

    @property
    def evidence(self) -> Evidence | None:
        """The evidence against the declared family; None without a test."""
        return read_evidence(self._store)

    @property
    def spot_evidence(self) -> SpotEvidence | None:
        """The evidence from the last look; None without one.

        At the end, the job simulates points between the certified ones, where simulations could contradict the
        certificate.
        """
        return read_spots(self._store)

    @usual_numpy_errors
    def verify(self) -> None:
        """Check the tables of the job against each other.

        The figures of active tiles must follow from their counts.

        Raises:
            CorruptStoreError: naming every relation that does not hold, with offending ids.
        """
        verify_job(self._store)

    def snapshot(self, path: str | PathLike[str]) -> None:
        """Write the job's current state to a DuckDB file.

        Any number of programs may read the file. It is complete at every moment, because it is written under a
        temporary name and renamed. It replaces only an earlier snapshot of this job. The callback of a running job may
        call this method.

        Args:
            path: the file.

        Raises:
            InvalidInputError: if the file exists and is not an earlier snapshot of the job.
            StoreError: if a database fails.
            OSError: if the file cannot be written.
        """
        write_snapshot(self._store, path)

    def export(self, folder: str | PathLike[str], format: Format = "parquet") -> None:  # noqa: A002 - as pandas says
        """Write the job to a new folder of archival files.

        The folder has one file per table, `config.json`, and a manifest with the number of rows and the SHA-256 of each
        file. `adagrid.import_job` reads it into any database, exactly. See docs/storage.md.

        Args:
            folder: the folder; it must not exist yet.
            format: "parquet", or "csv" (compressed with gzip).

        Raises:
            InvalidInputError: if the folder exists, or the format is unknown.
            StoreError: if the database fails.
            OSError: if a file cannot be written.
        """
        export(self._store, folder, format)

    def counts(self) -> Mapping[str, int]:
        """Return counts of tiles, cells, steps, points and simulations.

        `Store.summary` explains them.
        """
        return self._store.summary()

    @usual_numpy_errors
    def summary(self) -> str:
        """Return the result of the job in a few lines."""
        with reading(self.db):
            return summary(self, self.counts())

    def close(self) -> None:
        """Close the database; idempotent."""
        self._store.close()

    @property
    def covered(self) -> bool:
        """Whether the whole region has a bound or a threshold."""
        if self.refuted:
            return False
        return self.record.method.covers(self._store, self.record)

    @property
    def _outcome(self) -> Table:
        """The table that the certificate rests on."""
        return self.record.method.outcome(self._store, self.record)

    def _extreme(self, count: int = 1) -> pd.DataFrame:
        """Return the rows with the largest bounds or strictest thresholds, the worst first."""
        validate = self.record.kind == "validate"
        column = "tie_bound" if validate else "lambda_star"

        def read() -> pd.DataFrame:
            return self._store.extreme(column, largest=validate, name=self._outcome, count=count)

        rows = read()
        if not len(rows) and self.covered:
            rows = read()  # a job under way may have covered the region since the first look
            if not len(rows):
                raise StoreError(
                    f"{self.db}: there is no error to bound: refining the tiles showed that no null hypothesis is true "
                    "anywhere in the region. Start a job with another region, or correct the hypotheses."
                )
        return rows

    def _for_display(self, frame: pd.DataFrame) -> pd.DataFrame:
        quantity = self.record.quantity
        if quantity is not None:
            return frame if quantity.prefix == "tie" else frame.assign(**display_columns(quantity, frame))
        return frame.assign(threshold=self.record.model.direction * below_rounding(frame["lambda_star"]))


def open_job(db: str | PathLike[str] | Store) -> Run:
    """Open a job to read it.

    DuckDB files are opened read-only.

    Args:
        db: a path of a DuckDB file, the URL of a job on a ClickHouse server, or a store.

    Raises:
        NotAJobError: if there is no job.
        StoreError: if the database cannot be opened.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, db="trial.duckdb").close()
        >>> with ada.open_job("trial.duckdb") as run:
        ...     print(run.record.model.name, run.threshold)
        adagrid.models.z_test:ZTest 1.96
    """
    if isinstance(db, Store):
        return Run(db)
    return _run_on(open_reading(db))


def import_job(folder: str | PathLike[str], db: str | PathLike[str] | Store | None = None) -> Run:
    """Read an export of a job into a database.

    All files are checked first. At the end the job in the database is verified.

    Args:
        folder: the folder that `Run.export` wrote.
        db: a path of a DuckDB file, the URL of a job on a ClickHouse server, None for a database in memory, or a store.
            The database is new, or holds an earlier copy of the job, which is completed.

    Returns:
        The job, opened to be read. To continue it, close it and give `db` to ada_validate or ada_calibrate.

    Raises:
        NotAJobError: if the folder is no export, or has a different version.
        CorruptStoreError: if a file is missing or damaged, naming it, or the job contradicts itself.
        InvalidInputError: if the database holds a different job.
        StoreError: if the database fails.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024).export("trial")
        >>> ada.import_job("trial", "trial.duckdb").threshold
        1.96
    """
    store = import_export(folder, db)
    return Run(store) if store is db else _run_on(store)


def _run_on(store: Store) -> Run:
    """Return the job in a store. Close the store if it has no readable job."""
    try:
        return Run(store)
    except BaseException:
        store.close()
        raise
