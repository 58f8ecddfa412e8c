"""What can be read of a job: while it is unfinished, when it has ended, and years later."""

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
from adagrid.records import JobRecord, read_data, read_records, reading
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
    """A job's tables and what they certify. Also a context manager that closes the database.

    Args:
        store: the job's open store.
        status: how the run ended; read from the job's reports if None.
        certify: certifies the job as it was run in this process; None if it is only read.
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
        """Where the database is."""
        return self._store.location

    @property
    def converged(self) -> bool:
        """Whether all targets are met."""
        return self.status is Status.CONVERGED

    @property
    def settings(self) -> Settings:
        """The settings the job last ran with."""
        return self.record.settings

    @property
    def guarantee(self) -> Literal["certified", "search only"]:
        """What the bound or threshold rests on.

        "certified": simulations that had no part in choosing where and how often to simulate: a fresh pass, or a fixed
        grid. Errors that are computed are certified whatever chose where. "search only": the simulations of the search
        itself; also as long as nothing is certified yet.
        """
        certified = self.covered and self.record.method.certified(self._store, self._history)
        return "certified" if certified else "search only"

    @property
    def is_fixed(self) -> bool:
        """Whether the job has simulated a fixed grid, once, and adapted nothing, as it was asked from its beginning."""
        return self.record.method.is_fixed(self._store, self._history)

    @usual_numpy_errors
    def certify(self) -> Run:
        """Certify a search: freeze its grid and simulate it afresh, with a seed stream that chose nothing.

        A job is certified once, and not continued after that: choosing between several passes would undo what each of
        them guarantees. Interrupted, it is finished when called again. Jobs by interpolation certify as they run, and a
        fixed grid needs no more.

        Returns:
            This run; `bound`, `threshold`, `results` and `summary` are then those of the certificate.

        Raises:
            InvalidInputError: if the job was opened to be read only, or its initial grid is not simulated.
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
        """What is certified of the quantity over the region, with confidence 1 - delta at each parameter value.

        Of the Type I Error or a mean the upper bound, of power the lower one; what is trivially true until all of the
        region has a bound. Calibration: alpha, the level at which the threshold controls the error: on average, or with
        the setting `confidence`.
        """
        quantity = self.record.quantity
        if quantity is None:
            return self.settings.calibration.alpha
        largest = float(self._extreme()["tie_bound"].iloc[0]) if self.covered else 1.0
        lower, upper = quantity.interval(largest, largest)
        return float(lower if quantity.side == "lower" else upper)

    @property
    def bounds(self) -> tuple[float, float]:
        """A lower and an upper bound of the quantity over the region, each with confidence 1 - delta at each value.

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

        NaN for a mean, where nothing is rejected. Calibration: never rejecting (an infinity) until all of the region
        has a threshold. Lowered by more than the rounding of single precision, so that a statistic equal to it does not
        reject whatever computes it.
        """
        if self.record.kind == "validate":
            threshold = self.settings.validation.threshold
            return np.nan if threshold is None else float(threshold)
        star = self._extreme()["lambda_star"].iloc[0] if self.covered else -np.inf
        return float(self.record.model.direction * below_rounding(star))

    def worst_tile(self) -> pd.Series:
        """Return the row of results that decides: the largest bound, or the least threshold.

        Raises:
            StoreError: if the initial grid has not been simulated to the end.
        """
        if not self.covered:
            raise StoreError(f"{self.db}: nothing decides before the region is simulated. Continue the job.")
        return self._for_display(self._extreme()).astype(object).iloc[0]  # as objects, because an id is no float

    def worst_tiles(self, count: int = 10) -> pd.DataFrame:
        """Return the rows of results that come nearest to deciding, the one that decides first.

        Args:
            count: at most so many.
        """
        return self._for_display(self._extreme(count))

    @usual_numpy_errors
    def slack(self) -> pd.DataFrame:
        """Return what separates the bounds in force from the estimates, by source.

        Returns:
            Columns `column`, `least`, `mean` and `greatest`; a row for each of `grid_cost`, and of validations
            `sim_cost` and `total_cost` (see `results`).
        """
        costs = ["grid_cost", "sim_cost", "total_cost"] if self.record.kind == "validate" else ["grid_cost"]
        return self._store.spread(costs, self._outcome)

    @usual_numpy_errors
    def results(self, *, active: bool = True) -> pd.DataFrame:
        """Return one row per simulated tile, or per certified cell; after `certify`, of the fresh pass.

        `theta*` and `radius*` are the tile's centre and half-widths, `null_truth*` the hypotheses that are true on it
        (or may be: curved ones), whose rejections count, `n_sims` its simulations. Validations add `rejections`,
        `tie_estimate` (their share; tie is short for Type I Error), `tie_point_lower` and `tie_point_bound` (its lower
        and upper confidence limits), `tie_lower` and `tie_bound` (the bounds over the tile; the lower one is 0 where
        too many rejections may count), and how much of the upper bound's slack is due to the tile's size (`grid_cost`),
        to the number of simulations (`sim_cost`), and together (`total_cost`).

        Where power is bounded, all these but `rejections` are of the Type II Error; `power_estimate`, `power_lower` and
        `power_upper` are of the power. Where a mean is bounded they are of the statistic, rescaled to [0, 1], and
        `rejections` counts trials in which it is rounded up to 1; `mean_estimate`, `mean_lower` and `mean_upper` are of
        the mean itself. Calibrations add `alpha0` (the level at the centre that keeps alpha on the
        tile), `rank` and `lambda_star` (the order statistic that keeps it, turned so that small ones reject),
        `grid_cost`, `impossible` (the rank is too low to be worth using), and thresholds under resamples.
        `coordination_id`, `zone_id`, `step_id` and `position` tell where in the job it was made, `parent_id` from
        which tile, `volume` how much of the region it stands for, `worker_id` and `time` by whom and when
        (seconds since 1970), `design` which version of the design was simulated (see `share_of_other_designs`; of a job
        by interpolation `vertices` has it).

        Calibrations have the column `threshold`: lambda_star in the model's own direction, lowered like
        `Run.threshold`.

        Of a job by interpolation a row is a cell: `theta*` and `radius*` are the box around it, `point*` the ids of
        its vertices (see `vertices`), `n_sims` the least number of simulations at one (0 where errors are computed).
        `tie_estimate` and `tie_point_bound` are the largest of its vertices'; the `tie_bound` of a calibration is what
        the levels at the vertices bound the error by, at most alpha, and `alpha0` the level at the one with the least
        threshold.

        Args:
            active: only what is in force; otherwise also what was replaced by smaller or deeper tiles or cells.
        """
        return self._for_display(self._store.results(self._outcome, active=active))

    def table(self, name: Table) -> pd.DataFrame:
        """Return a whole table of the job; docs/storage.md describes them all.

        Args:
            name: such as "tiles", "done", "steps", "coordinations", "reports", "logs", "config", "null_hypos", "lines"
                and "spots"; of a job by interpolation also "points", "pilot", "vertices" and "cells". What is written
                as JSON in "reports" and "config" is returned as dictionaries.

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
        """Whether parts of the job were simulated with another version of its design, as its user accepted."""
        return any(record.design for record in self._history)

    @property
    def share_of_other_designs(self) -> float:
        """The share of the simulations behind the bound or threshold that are of another version of the design.

        Another than the one that the job went on with last, which `record` has. The column `design` of the tables says
        which version a row was simulated with, and the records in `config` have the number of theirs.
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
        """Whether simulations contradict the declared family, or computed errors. Nothing is then certified."""
        found = (self.evidence, self.spot_evidence)
        return any(each is not None and each.refutes for each in found)

    @property
    def evidence(self) -> Evidence | None:
        """What simulations say against the declared family; None if it was not tested."""
        return read_evidence(self._store)

    @property
    def spot_evidence(self) -> SpotEvidence | None:
        """What the last look at the certified region shows; None if there was none."""
        return read_spots(self._store)

    @usual_numpy_errors
    def verify(self) -> None:
        """Check the relations between the tables, and that the figures of active tiles follow from their counts.

        Raises:
            CorruptStoreError: naming every relation that does not hold, with offending ids.
        """
        verify_job(self._store)

    def snapshot(self, path: str | PathLike[str]) -> None:
        """Write the job as it stands to a DuckDB file, which any number of programs may then read.

        It is written beside and renamed, so the file is whole at every moment. It takes the place of an earlier
        snapshot of this job and of nothing else. The callback of a job under way may call this.

        Args:
            path: the file.

        Raises:
            InvalidInputError: if there is anything but an earlier snapshot of the job.
            StoreError: if a database fails.
            OSError: if the file cannot be written.
        """
        write_snapshot(self._store, path)

    def export(self, folder: str | PathLike[str], format: Format = "parquet") -> None:  # noqa: A002 - as pandas says
        """Write the job as it stands to a new folder of files that last: see docs/storage.md.

        One file for every table, `config.json`, and a manifest with the number of rows and the SHA-256 of each.
        `adagrid.import_job` reads it into any database, exactly.

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
        """Return counts of tiles or cells, steps, points and simulations, as `Store.summary` explains them."""
        return self._store.summary()

    @usual_numpy_errors
    def summary(self) -> str:
        """Return what the job found, in a few lines."""
        with reading(self.db):
            return summary(self, self.counts())

    def close(self) -> None:
        """Close the database; idempotent."""
        self._store.close()

    @property
    def covered(self) -> bool:
        """Whether all of the region has been simulated, so that there is a bound or a threshold."""
        if self.refuted:
            return False
        return self.record.method.covers(self._store, self.record)

    @property
    def _history(self) -> list[JobRecord]:
        """What the job has recorded of itself at each of its starts."""
        return read_records(self._store)

    @property
    def _outcome(self) -> Table:
        """The table that the certificate rests on."""
        return self.record.method.outcome(self._store, self.record)

    def _extreme(self, count: int = 1) -> pd.DataFrame:
        """Return the rows that decide, the first of them first."""
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
    """Open a job to read it: a DuckDB file, without the right to write, or a job on a ClickHouse server.

    Raises:
        NotAJobError: if there is no job.
        StoreError: if the database cannot be opened.
    """
    if isinstance(db, Store):
        return Run(db)
    store = open_reading(db)
    try:
        return Run(store)
    except BaseException:
        store.close()
        raise


def import_job(folder: str | PathLike[str], db: str | PathLike[str] | Store | None = None) -> Run:
    """Read an export of a job into a database, after every file has been checked, and verify what was read.

    Args:
        folder: what `Run.export` wrote.
        db: a path of a DuckDB file, the URL of a job on a ClickHouse server, None for a database in memory, or a
            store: new, or with an earlier copy of the job, which is completed.

    Returns:
        The job, opened to be read. To continue it, close it and give `db` to ada_validate or ada_calibrate.

    Raises:
        NotAJobError: if the folder is no export, or one of another version.
        CorruptStoreError: if a file is missing or damaged, naming it, or the job contradicts itself.
        InvalidInputError: if the database holds another job.
        StoreError: if the database fails.
    """
    return Run(import_export(folder, db))
