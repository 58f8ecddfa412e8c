"""How a job stands while it runs: aggregates that the database computes, never its tiles themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Literal, final

import pandas as pd

from adagrid.records import JobRecord
from adagrid.results.run import Run
from adagrid.runtime.status import Status
from adagrid.stores import Store
from adagrid.stores.open import open_reading


@final
@dataclass(frozen=True)
class JobSnapshot:
    """The state of a job at one moment.

    Args:
        time: the moment, in seconds since 1970.
        record: the job's record of its design, grid and settings.
        status: how the job ended; NEW_STEP while it runs.
        guarantee: whether the bound or threshold is a certificate (`Run.guarantee`).
        bound: the bound so far (`Run.bound`).
        threshold: the rejection threshold so far, in the model's own direction.
        counts: counts of tiles or cells, simulations and pending work (`Store.summary`).
        slack: the slack between active bounds and estimates, by source: columns `column` (`grid_cost`, from the size of
            tiles; `sim_cost`, from the number of simulations; `total_cost`), `least`, `mean` and `greatest`.
        worst: the worst rows of results (`Run.worst_tiles`).
        workers: one row per worker: `worker_id`; `last_sign`, its last write in seconds since 1970; and its recent
            speed in tiles or points (`simulated`) and in `simulations`, both per second.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, db="trial.duckdb").close()
        >>> snapshot = ada.open_view("trial.duckdb").look()
        >>> snapshot.guarantee, snapshot.counts["active"]
        ('certified', 2)
    """

    time: float
    record: JobRecord
    status: Status
    guarantee: Literal["certified", "search only"]
    bound: float
    threshold: float
    counts: Mapping[str, int]
    slack: pd.DataFrame
    worst: pd.DataFrame
    workers: pd.DataFrame


@final
class View:
    """A read-only view of a job that may be running.

    It is a context manager that closes its connection. Get one from `open_view`.

    Args:
        store: the job's store, which only this view uses.

    Examples:
        >>> with ada.open_view("clickhouse://user@host:9440/trial-7?secure=true") as view:  # doctest: +SKIP
        ...     print(view.look().bound)
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def look(self, *, worst: int = 10, window: float = 60.0) -> JobSnapshot:
        """Return the current state of the job.

        Args:
            worst: number of the worst tiles or cells to return.
            window: seconds over which the speed of workers is averaged; for a younger job, its age.

        Raises:
            NotAJobError: if there is no job yet.
            StoreError: if the database fails.
        """
        run, now = Run(self._store), time.time()
        began = float(self._store.table("config")["time"].min())
        seconds = max(min(window, now - began), 1e-3)
        workers = self._store.activity(now - seconds)
        speeds = {name: workers[name] / seconds for name in ("simulated", "simulations")}
        return JobSnapshot(
            time=now,
            record=run.record,
            status=run.status,
            guarantee=run.guarantee,
            bound=run.bound,
            threshold=run.threshold,
            counts=run.counts(),
            slack=run.slack(),
            worst=run.worst_tiles(worst),
            workers=workers.assign(**speeds),
        )

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._store.close()


def open_view(db: str | PathLike[str] | Store) -> View:
    """Open a read-only view of a job.

    Args:
        db: the URL of a job on a ClickHouse server, the path of a DuckDB file that no other process has open (such as a
            snapshot), or the store of a job that runs in this process, in any thread.

    Raises:
        NotAJobError: if there is no database.
        StoreError: if the database cannot be opened.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, db="trial.duckdb").close()
        >>> with ada.open_view("trial.duckdb") as view:
        ...     view.look().status.name
        'REACHED_N_STEPS'
    """
    if isinstance(db, Store):
        return View(db.reader())
    return View(open_reading(db))
