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
from adagrid.stores import Store, is_url, open_store
from adagrid.stores.duckdb import DuckDBStore


@final
@dataclass(frozen=True)
class JobSnapshot:
    """A job at one moment.

    Args:
        time: when, in seconds since 1970.
        record: what the job wrote down about itself.
        status: how it ended; NEW_STEP as long as it has not.
        guarantee: what the bound or threshold rests on so far.
        bound: validation: the upper confidence bound so far; calibration: alpha.
        threshold: the rejection threshold (so far), in the model's own direction.
        counts: tiles or cells, simulations and what is pending, as `Store.summary` counts them.
        slack: what separates bounds from estimates, by source: columns `column` (`grid_cost`, because tiles are large;
            `sim_cost`, because simulations are few; `total_cost`), `least`, `mean`, `greatest` over what is active.
        worst: the rows of results that come nearest to deciding.
        workers: one row per worker: `worker_id`, `last_sign` (of life, in seconds since 1970), and over the last
            seconds the tiles or points it `simulated` and the `simulations` behind them, both per second.
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
    """Looks at a job without the right to change it. Also a context manager that closes its connection.

    Args:
        store: the job's store, for this view alone.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def look(self, *, worst: int = 10, window: float = 60.0) -> JobSnapshot:
        """Return how the job stands now.

        Args:
            worst: how many of the worst tiles or cells.
            window: seconds over which the speed of workers is measured; the age of the job, if it is younger.

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
    """Open a view of a job.

    Args:
        db: the URL of a job on a ClickHouse server, the path of a DuckDB file that no other process has open (a
            snapshot), or the store of a job that is under way in this process, also in another thread.

    Raises:
        NotAJobError: if there is no database.
        StoreError: if it cannot be opened.
    """
    if isinstance(db, Store):
        return View(db.reader())
    return View(open_store(db) if is_url(db) else DuckDBStore(db, read_only=True))
