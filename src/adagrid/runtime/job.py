"""A job under way: the objects that steps, zones and the leader share."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, final

import numpy as np
import pandas as pd

from adagrid._deadline import check_time, within
from adagrid._typing import Array, FloatArray
from adagrid.backends import Backend
from adagrid.grid import NullHypothesis
from adagrid.grid.points import Points
from adagrid.records import LEADER, JobRecord
from adagrid.runtime.journal import Journal
from adagrid.runtime.pace import Pace
from adagrid.runtime.progress import Callback, ProgressDisplay, StepReport
from adagrid.runtime.requests import A, FractionsRequest, Request, Response, StatisticsRequest
from adagrid.runtime.work import Work
from adagrid.runtime.workers import WorkerInfo
from adagrid.settings.settings import Settings
from adagrid.stores import Store
from adagrid.stores.tables import Table

logger = logging.getLogger("adagrid")


class Observer(Protocol):
    """Follows a job under way, in its own time. The job survives every failure of its observers."""

    def request(self) -> None:
        """Read the current state of the job soon; returns at once."""

    def finish(self) -> None:
        """Read the final state of the job before returning."""

    def stop(self) -> None:
        """Stop following the job soon."""


@final
@dataclass(frozen=True)
class Job(Generic[A]):
    """A job under way.

    Args:
        store: its tables.
        work: the job's record, algorithm and simulator.
        backend: where work runs.
        journal: writes reports and log messages.
        display: progress for people.
        callback: called after every step.
        observers: follow the job, such as its backups.
        worker_id: the id of this process.
        begun: the coordination that this process began, so that it had no stored rows; None if another process may have
            stored rows of it.
        pace: the measured speed of simulations.
    """

    store: Store
    work: Work[A]
    backend: Backend
    journal: Journal
    display: ProgressDisplay
    callback: Callback | None = None
    observers: Sequence[Observer] = ()
    started: float = field(default_factory=time.monotonic)
    worker_id: int = LEADER
    begun: int | None = None
    pace: Pace = field(default_factory=lambda: Pace(1))
    _known_workers: set[int] = field(default_factory=set)

    @property
    def record(self) -> JobRecord:
        """The record of the job."""
        return self.work.record

    @property
    def settings(self) -> Settings:
        """The settings of the job."""
        return self.work.record.settings

    @property
    def algorithm(self) -> A:
        """The object that simulates and decides."""
        return self.work.algorithm

    @property
    def hypotheses(self) -> tuple[NullHypothesis, ...]:
        """The null hypotheses of the grid."""
        return self.work.hypotheses

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def ask(self, requests: Iterable[Request[A]]) -> Iterator[Response]:
        """Send requests to wherever the backend simulates, and yield the responses in order.

        Raises:
            TimeUpError: if there is no time left to begin.
        """
        check_time()
        for response in self.backend.map(self.work, requests):
            self.register(response.worker)
            yield response

    def register(self, worker: WorkerInfo) -> None:
        """Write down that a worker has joined, unless that is known."""
        number = worker.worker_id
        if number == LEADER or number in self._known_workers:
            return
        if not len(self.store.between("config", {"worker_id": (number, number)}, ["worker_id"])):
            for difference in self.work.pool.differences(worker):
                logger.warning("worker %d differs from the leader in %s", number, difference)
            row = worker.config_row(self.work.pool.start, self.record)
            self.store.append({"config": row.assign(time=time.time())})
            logger.info("worker %d has joined", number)
        self._known_workers.add(number)

    def append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        """Write rows, and reports that wait for them."""
        self.journal.append(frames)

    def append_missing(self, frames: Mapping[Table, pd.DataFrame], *, key: Table, is_new: bool) -> int:
        """Write rows that are not stored yet, and return how many there were.

        Args:
            frames: rows of `key`, and rows of other tables that go with them.
            key: the table that decides.
            is_new: whether this process knows that no row is stored; no question is then asked.
        """
        if not is_new:
            return self.store.append_missing(frames, key=key)
        if len(frames[key]):
            self.append(frames)
        return len(frames[key])

    def report_step(self, report: StepReport) -> None:
        """Report a step, or that a step found nothing to do: to the database, to people, and to the caller."""
        content: dict[str, Any] = {
            "status": report.status.name,
            "n_tiles": report.n_tiles,
            "n_active": report.n_active,
            "seconds": report.seconds,
            "figures": {name: str(value) for name, value in report.figures.items()},
        }
        self.journal.hold(self.journal.report("step", report.step, **content))
        self.show(report)

    def show(self, report: StepReport) -> None:
        """Show a step to the person who watches and to the caller."""
        self.display.step(report)
        if self.callback is not None:
            with self.display.paused(), within(None):
                self.callback(report)

    def notify(self) -> None:
        """Ask observers to read the current state of the job; returns at once."""
        for observer in self.observers:
            observer.request()

    def notify_at_end(self) -> None:
        """Ask observers to read the final state of the job, and wait for them."""
        self.journal.flush()
        for observer in self.observers:
            observer.finish()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Send log messages to the database during the run. At its end, log an error that stopped it."""
        logger.addHandler(self.journal)
        level = logger.level
        if not logger.isEnabledFor(logging.INFO):
            logger.setLevel(logging.INFO)
        try:
            yield
        except BaseException as error:
            logger.error("stopped by %s: %s", type(error).__name__, error)
            raise
        finally:
            for observer in self.observers:
                observer.stop()
            logger.removeHandler(self.journal)
            logger.setLevel(level)
            self.journal.flush()

    def signed(self, frame: pd.DataFrame, worker_id: int | None = None) -> pd.DataFrame:
        """Return rows with the columns `design`, `worker_id` and `time`.

        Args:
            frame: the rows.
            worker_id: the process that simulated them; this process if None.
        """
        who = self.worker_id if worker_id is None else worker_id
        return frame.assign(design=self.record.design, worker_id=who, time=time.time())

    def statistics(self, points: Points) -> Array:
        """Return all statistics of points, simulated wherever the backend simulates, shape (points, sims)."""
        found = []
        for response in self.ask(StatisticsRequest(points.take(rows)) for rows in self.pace.pieces(points.n_sims)):
            found.append(response.content["statistics"])
            self.pace.note(np.full(*found[-1].shape), response.seconds)
        return np.concatenate(found)

    def fraction_below(self, request: FractionsRequest[A]) -> FloatArray:
        """Return the fractions of a tile's or point's statistics strictly below some of its smallest."""
        (response,) = self.ask([request])
        return response.content["below"]


AnyJob: TypeAlias = Job[Any]
