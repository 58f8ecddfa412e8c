"""What can be read of a job: while it is unfinished, when it has ended, and years later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Literal, final

import numpy as np
import pandas as pd

from adagrid._numpy_settings import usual_numpy_errors
from adagrid._plain import plain
from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, InvalidInputError, StoreError
from adagrid.estimation import below_rounding
from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.definition import from_definition
from adagrid.jobs.archive import export, write_snapshot
from adagrid.jobs.evidence import SpotEvidence, read_evidence, read_spots, wrong_lines, wrong_spots
from adagrid.jobs.figures import shown, wrong_figures
from adagrid.jobs.outcome import Status
from adagrid.jobs.record import LEADER, read_data, read_records, reading
from adagrid.jobs.summary import summary
from adagrid.refutation import Evidence
from adagrid.stores import Store, is_url, open_store
from adagrid.stores._duckdb_files import Format
from adagrid.stores.base import Method, Table
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.schema import SIMULATED


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
        self.status = status or self._reported_status()

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
    def settings(self) -> dict[str, Any]:
        """The settings the job last ran with."""
        return dict(self.record.settings)

    @property
    def guarantee(self) -> Literal["certified", "search only"]:
        """What the bound or threshold rests on.

        "certified": simulations that had no part in choosing where and how often to simulate: a fresh pass, or a fixed
        grid. Errors that are computed are certified whatever chose where. "search only": the simulations of the search
        itself; also as long as nothing is certified yet.
        """
        if self.record.method == "interpolated" or self.record.computed:
            return "certified" if self.covered else "search only"
        return "certified" if self.is_fixed or self._outcome == "certificate" else "search only"

    @property
    def is_fixed(self) -> bool:
        """Whether the job has simulated a fixed grid, once, and adapted nothing, as it was asked from its beginning."""
        settings = [record.settings for record in read_records(self._store)]
        asked = all(each["n_steps"] == 1 and each.get("max_sims", 0) == each.get("init_sims") for each in settings)
        return asked and self._searched and not self._store.table("steps")["step_id"].any()

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
        if self.record.method == "interpolated" or not self._searched:
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
            return float(self.record.settings["alpha"])
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
            threshold = self.record.settings["threshold"]
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
        return self._shown(self._extreme()).astype(object).iloc[0]  # as objects, because an id is no float

    def worst_tiles(self, count: int = 10) -> pd.DataFrame:
        """Return the rows of results that come nearest to deciding, the one that decides first.

        Args:
            count: at most so many.
        """
        return self._shown(self._extreme(count))

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
        return self._shown(self._store.results(self._outcome, active=active))

    def points(self) -> pd.DataFrame:
        """Return every point that a job by interpolation has asked for; empty for a classic job."""
        return self._optional_table("points")

    def pilot(self) -> pd.DataFrame:
        """Return the points of pilots with what their simulation gave; they inform plans only.

        Designs that compute their errors have none.
        """
        return self._optional_table("pilot")

    def vertices(self) -> pd.DataFrame:
        """Return the points that cells are certified from, with what their simulation gave.

        `level` is one minus the confidence of `tie_point_bound` (validations; 0 where errors are computed), or the
        level whose order statistic is `lambda_star` (calibrations).
        """
        return self._optional_table("vertices")

    def cells(self) -> pd.DataFrame:
        """Return every cell that was ever planned; `results` has those in force with what is certified of them."""
        return self._optional_table("cells")

    def tiles(self) -> pd.DataFrame:
        """Return every tile ever created."""
        return self._store.table("tiles")

    def done(self) -> pd.DataFrame:
        """Return what became of tiles."""
        return self._store.table("done")

    def steps(self) -> pd.DataFrame:
        """Return the finished steps."""
        return self._store.table("steps")

    def coordinations(self) -> pd.DataFrame:
        """Return the coordinations."""
        return self._store.table("coordinations")

    def reports(self) -> pd.DataFrame:
        """Return what workers reported, with the content as dictionaries."""
        reports = self._store.table("reports")
        return reports.assign(content=read_data(reports["content"], self.db))

    def logs(self) -> pd.DataFrame:
        """Return the log messages."""
        return self._store.table("logs")

    def config(self) -> pd.DataFrame:
        """Return one row per start and per worker that joined it: the record and the surroundings, as dictionaries."""
        config = self._store.table("config")
        return config.assign(**{name: read_data(config[name], self.db) for name in ("record", "environment")})

    def null_hypos(self) -> pd.DataFrame:
        """Return the null hypotheses."""
        return self._store.table("null_hypos")

    def lines(self) -> pd.DataFrame:
        """Return the lines of three points on which simulations tested the declared family.

        `theta*` is the middle of a line, `half*` the way to its end, `n_sims` the simulations at each point,
        `log_wealth` what betting against the family gained there (natural logarithm), `share*` how often the last
        event that was bet on occurred at the three points, `allowed` the largest share that the family allows in the
        middle. See docs/family.md.
        """
        return self._store.table("lines")

    @property
    def changed_model(self) -> bool:
        """Whether parts of the job were simulated with another version of its design, as its user accepted."""
        return any(record.design for record in read_records(self._store))

    @property
    def share_of_other_designs(self) -> float:
        """The share of the simulations behind the bound or threshold that are of another version of the design.

        Another than the one that the job went on with last, which `record` has. The column `design` of the tables says
        which version a row was simulated with, and the records in `config` have the number of theirs.
        """
        if not self.changed_model:
            return 0.0
        name: Table = self._outcome if self.record.method == "classic" else "vertices"
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

    def spots(self) -> pd.DataFrame:
        """Return the points between the certified ones at which a last look counted events.

        `events` of `n_sims` simulations rejected (of power: did not reject); `allowed` is the largest share that the
        family allows given what was counted at the certified points, or the computed share where `computed` is 1.
        """
        return self._store.table("spots")

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
        if incomplete := self._store.incomplete:  # what relations compare with nothing would hold
            raise CorruptStoreError(
                f"{self.db}: values are missing in {', '.join(incomplete)}; do not use its certificate."
            )
        with reading(self.db):
            self._store.verify()
            unknown = wrong_designs(self._store, self.record.method)
            tests = wrong_lines(self._store, self.record), wrong_spots(self._store)
            wrong = np.concatenate([wrong_figures(self._store, self.record), *tests])
        if len(unknown):
            raise CorruptStoreError(
                f"{self.db}: no start has recorded the design that the rows {unknown[:10].tolist()} were simulated "
                "with; do not use its certificate."
            )
        if len(wrong):
            raise CorruptStoreError(
                f"{self.db}: the figures of the tiles, cells, points, lines or spots {wrong[:10].tolist()} do not "
                "follow from their simulations; do not use its certificate."
            )

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
        if self.record.method == "classic":
            return self._searched
        done = self._store.table("done")
        replaced = done["id"][done["active"] == 0]
        return bool(self._store.table("tiles")["id"].isin(replaced).all())

    @property
    def _searched(self) -> bool:
        """Whether every tile of the initial grid has been simulated."""
        return all(self._store.last_step(0, zone) is not None for zone in range(self.record.n_zones))

    @property
    def _outcome(self) -> Table:
        """The table that the certificate rests on."""
        if self.record.method == "interpolated":
            return "certificate"
        coordinations = self._store.table("coordinations")
        if not len(coordinations) or coordinations["kind"].iloc[-1] != "certify":
            return "results"
        last = int(coordinations["coordination_id"].iloc[-1])
        finished = [self._store.last_step(last, zone) is not None for zone in range(self.record.n_zones)]
        return "certificate" if all(finished) else "results"

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

    def _optional_table(self, name: Table) -> pd.DataFrame:
        return self._store.table(name) if name in self._store.schema.tables else pd.DataFrame()

    def _shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        quantity = self.record.quantity
        if quantity is not None:
            return frame if quantity.prefix == "tie" else frame.assign(**shown(quantity, frame))
        return frame.assign(threshold=self.record.model.direction * below_rounding(frame["lambda_star"]))

    def _reported_status(self) -> Status:
        reports = self._store.table("reports")
        finished = reports[reports["kind"] == "finish"]
        config = self._store.table("config")
        started = config["time"][config["worker_id"] == LEADER].max()
        if not len(finished) or finished["time"].iloc[-1] < started:
            return Status.NEW_STEP
        with reading(self.db):
            return Status[read_data(finished["content"][-1:], self.db)[0]["status"]]


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


def open_reading(db: str | PathLike[str]) -> Store:
    """Open a database to read it."""
    return open_store(db) if is_url(db) else DuckDBStore(db, read_only=True)


def wrong_designs(store: Store, method: Method) -> IdArray:
    """Return the ids of simulated rows whose version of the design no start has recorded."""
    unknown = max(record.design for record in read_records(store)) + 1, np.inf
    tables: tuple[Table, ...] = (*SIMULATED[method], "lines", "spots")
    return np.concatenate(
        [store.between(name, {"design": unknown}, ["id"])["id"].to_numpy(np.uint64) for name in tables]
    )


def read_hypotheses(null_hypos: pd.DataFrame) -> tuple[NullHypothesis, ...]:
    """Return the null hypotheses of a job from its table of them; they may be of classes that this process knows.

    Raises:
        InvalidInputError: if one is of another class.
    """
    return tuple(from_definition(str(text)) for text in null_hypos["definition"])


def read_grid_tiles(store: Store) -> Tiles:
    """Return the tiles that a job began with: those that were neither split at a boundary nor pruned."""
    tiles, done = store.table("tiles"), store.table("done")
    began = tiles[(tiles["coordination_id"] == 0) & (tiles["step_id"] == 0)]
    retired = done["id"][(done["coordination_id"] == 0) & (done["step_id"] == 0)]
    return Tiles.from_frame(began[~began["id"].isin(retired)])
