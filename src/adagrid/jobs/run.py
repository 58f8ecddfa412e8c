"""What can be read of a job: while it is unfinished, when it has ended, and years later."""

from __future__ import annotations

import json
import math
from os import PathLike
from typing import Any, final

import numpy as np
import pandas as pd

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, NotAJobError, StoreError
from adagrid.estimation import below_rounding, calibration_rank, clopper_pearson_upper
from adagrid.grid import HalfSpace
from adagrid.jobs.outcome import Status
from adagrid.jobs.record import JobRecord
from adagrid.stores import Store, ZoneView, open_store
from adagrid.stores.duckdb import DuckDBStore


@final
class Run:
    """A job's tables and what they certify. Also a context manager that closes the database.

    Args:
        store: the job's open store.
        status: how the run ended; read from the job's reports if None.
    """

    def __init__(self, store: Store, status: Status | None = None) -> None:
        self._store = store
        self.record = read_records(store)[-1]
        self.status = status or self._reported_status()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.record.kind} job {self.record.job_id!r} in {self.db}: {self.status.name}>"

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
    def bound(self) -> float:
        """Validation: the upper confidence bound on the Type I Error over the region; 1 until every tile has one.

        Calibration: alpha, the level at which the threshold controls the error.
        """
        if self.record.kind == "calibrate":
            return float(self.record.settings["alpha"])
        if not self._covered:
            return 1.0
        return float(self._store.extreme("tie_bound", largest=True)["tie_bound"].iloc[0])

    @property
    def threshold(self) -> float:
        """The rejection threshold in the model's own direction.

        Calibration: never rejecting (an infinity) until every tile has a threshold. Lowered by more than the
        rounding of single precision, so that a statistic equal to it does not reject whatever computes it.
        """
        if self.record.kind == "validate":
            return float(self.record.settings["threshold"])
        star = self._store.extreme("lambda_star", largest=False)["lambda_star"].iloc[0] if self._covered else -np.inf
        return float(self.record.model.direction * below_rounding(star))

    def worst_tile(self) -> pd.Series:
        """Return the row of results that decides: the largest bound, or the least threshold.

        Raises:
            StoreError: if the initial grid has not been simulated to the end.
        """
        if not self._covered:
            raise StoreError(f"{self.db}: no tile decides before the initial grid is simulated. Continue the job.")
        validate = self.record.kind == "validate"
        row = self._store.extreme("tie_bound" if validate else "lambda_star", largest=validate)
        return self._shown(row).astype(object).iloc[0]  # as objects, because an id is no float

    def results(self, *, active: bool = True) -> pd.DataFrame:
        """Return one row per simulated tile.

        `theta*` and `radius*` are the tile's centre and half-widths, `null_truth*` the hypotheses that are true on
        it, `n_sims` its simulations. Validations add `rejections`, `tie_estimate` (their share; tie is short for
        Type I Error), `tie_point_bound` (its upper confidence limit), `tie_bound` (the bound over the tile), and
        how much of its slack is due to the tile's size (`grid_cost`), to the number of simulations (`sim_cost`),
        and together (`total_cost`). Calibrations add `alpha0` (the level at the centre that keeps alpha on the
        tile), `rank` and `lambda_star` (the order statistic that keeps it, turned so that small ones reject),
        `grid_cost`, `impossible` (the rank is too low to be worth using), and thresholds under resamples.
        `coordination_id`, `zone_id`, `step_id` and `position` tell where in the job it was made, `parent_id` from
        which tile, `volume` how much of the region it stands for, `worker_id` and `time` by whom and when
        (seconds since 1970).

        Calibrations have the column `threshold`: lambda_star in the model's own direction, lowered like
        `Run.threshold`.

        Args:
            active: only tiles that are in force; otherwise also those that were replaced by smaller or deeper ones.
        """
        return self._shown(self._store.results(active=active))

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
        return reports.assign(content=[json.loads(text) for text in reports["content"]])

    def logs(self) -> pd.DataFrame:
        """Return the log messages."""
        return self._store.table("logs")

    def config(self) -> pd.DataFrame:
        """Return one row per start: the job's record and the worker's environment, as dictionaries."""
        config = self._store.table("config")
        return config.assign(
            record=[json.loads(text) for text in config["record"]],
            environment=[json.loads(text) for text in config["environment"]],
        )

    def null_hypos(self) -> pd.DataFrame:
        """Return the null hypotheses."""
        return self._store.table("null_hypos")

    def verify(self) -> None:
        """Check the relations between the tables, and that the figures of active tiles follow from their counts.

        Raises:
            CorruptStoreError: naming every relation that does not hold, with offending ids.
        """
        self._store.verify()
        wrong = self._wrong_figures()
        if len(wrong):
            raise CorruptStoreError(
                f"{self.db}: the figures of the tiles {wrong[:10].tolist()} do not follow from their simulations; do "
                "not use its certificate."
            )

    def summary(self) -> str:
        """Return what the job found, in a few lines."""
        record, settings = self.record, self.record.settings
        arguments = ", ".join(f"{name}={value}" for name, value in record.model.arguments.items())
        side = "<" if record.model.reject_when == "small" else ">"
        counts = self._store.summary()
        hypotheses = self.null_hypos()["description"].tolist()
        error = "family-wise Type I Error" if len(hypotheses) > 1 else "Type I Error"
        lines = [
            f"Design      {record.model.name.partition(':')[2]}({arguments}), parameters: {record.model.coordinates}",
            f"Null        {'; '.join(hypotheses) if hypotheses else 'everywhere in the region'}",
            f"Region      {self._place(record.theta_min)} to {self._place(record.theta_max)}",
        ]
        if record.kind == "validate":
            lines += [
                f"Rejects     when the statistic {side} {settings['threshold']!r}",
                f"Bound       {error} <= {percent_up(self.bound)} (confidence {1 - settings['delta']:.12g} at each "
                "parameter value)",
            ]
        else:
            lines += [
                f"Level       alpha = {settings['alpha']!r}: the expected {error} is at most this",
                f"Threshold   reject when the statistic {side} {self.threshold!r}",
                *self._spread(),
            ]
        if self._covered:
            lines.append(f"Decided at  {self._decided_at()}")
        fixed = settings["n_steps"] == 1 and settings["max_sims"] == settings["init_sims"]
        meaning = "The grid was simulated as asked; nothing was adapted." if fixed else self.status.sentence
        guarantee = (
            "fixed grid: what was simulated did not choose where"
            if fixed
            else "search: the simulations that chose the tiles also gave their figures"
        )
        lines += [
            f"Work        {counts['tiles']:,} tiles created, {counts['active']:,} active, {counts['steps']:,} steps, "
            f"{counts['simulations']:,} simulations behind the results",
            f"Status      {self.status.name}: {meaning}",
            f"Guarantee   {guarantee}",
            f"Job         {record.job_id}, model seed {settings['model_seed']}",
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """Close the database; idempotent."""
        self._store.close()

    def _wrong_figures(self) -> IdArray:
        """Return the ids of active tiles whose figures contradict each other."""
        settings = self.record.settings
        everything = ZoneView(0, 0, 1, 2**31)
        if self.record.kind == "validate":
            names = ["n_sims", "rejections", "tie_estimate", "tie_point_bound", "tie_bound"]
            frame = self._store.frontier(everything, names)
            limit = clopper_pearson_upper(frame["rejections"], frame["n_sims"], settings["delta"])
            right = frame["tie_estimate"] == frame["rejections"] / frame["n_sims"]
            right &= np.isclose(frame["tie_point_bound"], limit, rtol=1e-9, atol=0)
            right &= (frame["tie_bound"] >= frame["tie_point_bound"]) & (frame["tie_bound"] <= 1)
        else:
            frame = self._store.frontier(everything, ["n_sims", "alpha0", "rank", "lambda_star"])
            right = (frame["alpha0"] >= 0) & (frame["alpha0"] <= settings["alpha"])
            right &= frame["rank"] == calibration_rank(frame["n_sims"], frame["alpha0"])
            right &= (frame["rank"] > 0) | (frame["lambda_star"] == -np.inf)
        return frame["id"].to_numpy(np.uint64)[~right.to_numpy(bool)]

    def _decided_at(self) -> str:
        worst = self.worst_tile()
        place = self._place([float(worst[f"theta{i}"]) for i in range(self._store.schema.dim)])
        if self.record.kind == "validate":
            return f"{place}, where {worst['tie_estimate']:.4%} of {int(worst['n_sims']):,} simulations rejected"
        return f"{place}, with {int(worst['n_sims']):,} simulations"

    def _place(self, theta: list[float]) -> str:
        """Return parameters as text; logits also as response probabilities."""
        place = "(" + ", ".join(f"{value:.4g}" for value in theta) + ")"
        if "logit" not in self.record.model.coordinates:
            return place
        return f"{place} = response rates (" + ", ".join(f"{1 / (1 + np.exp(-value)):.3f}" for value in theta) + ")"

    def _spread(self) -> list[str]:
        """Return a line on how far thresholds from other simulations would be, from the last report that tells."""
        reports = self._store.table("reports")
        figures = [json.loads(text).get("figures", {}) for text in reports["content"][reports["kind"] == "step"]]
        told = [figure for figure in figures if "std" in figure]
        if not told:
            return []
        std, bias, grid = (float(told[-1][name]) for name in ("std", "bias", "grid cost"))
        return [
            f"Spread      of the error: standard deviation {std:.2%}, bias {bias:.2%}; lost to tile size {grid:.2%}"
        ]

    @property
    def _covered(self) -> bool:
        """Whether every tile of the initial grid has been simulated."""
        return all(self._store.last_step(0, zone) is not None for zone in range(self.record.n_zones))

    def _shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.record.kind == "validate":
            return frame
        return frame.assign(threshold=self.record.model.direction * below_rounding(frame["lambda_star"]))

    def _reported_status(self) -> Status:
        reports = self._store.table("reports")
        finished = reports[reports["kind"] == "finish"]
        started = self._store.table("config")["time"].max()
        if not len(finished) or finished["time"].iloc[-1] < started:
            return Status.NEW_STEP
        return Status[json.loads(finished["content"].iloc[-1])["status"]]


def open_job(db: str | PathLike[str] | Store) -> Run:
    """Open a job to read it. A DuckDB file is opened without the right to write.

    Raises:
        NotAJobError: if there is no job.
        StoreError: if the database cannot be opened.
    """
    if isinstance(db, Store):
        return Run(open_store(db))
    store = DuckDBStore(db, read_only=True)
    try:
        return Run(store)
    except BaseException:
        store.close()
        raise


def percent_up(bound: float) -> str:
    """Return a bound in percent, rounded up: a printed bound is still one."""
    return f"{math.ceil(round(bound * 1e6, 6)) / 1e4:.4f}%"


def read_records(store: Store) -> list[JobRecord]:
    """Return what a job wrote down about itself at every start; the last holds.

    Raises:
        NotAJobError: if the database holds no job.
    """
    config = store.table("config") if store.exists else pd.DataFrame()
    if not len(config):
        raise NotAJobError(f"{store.location} holds no job yet.")
    return [JobRecord.model_validate_json(str(text)) for text in config["record"]]


def read_hypotheses(store: Store) -> tuple[HalfSpace, ...]:
    """Return the null hypotheses of a job."""
    definitions = [json.loads(text) for text in store.table("null_hypos")["definition"]]
    return tuple(HalfSpace(fields["normal"], fields["offset"]) for fields in definitions)
