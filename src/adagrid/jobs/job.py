"""A job that is being worked on: what steps, zones and the leader share."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, final

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, FloatArray
from adagrid.backends import Backend
from adagrid.engine import Simulator
from adagrid.grid import HalfSpace, Tiles
from adagrid.jobs.backup import Backup
from adagrid.jobs.journal import Journal
from adagrid.jobs.progress import Callback, ProgressDisplay
from adagrid.jobs.record import JobRecord
from adagrid.jobs.work import A, Work
from adagrid.stores import Store

logger = logging.getLogger("adagrid")

LEADER = 1


@final
@dataclass(frozen=True)
class Job(Generic[A]):
    """A job under way.

    Args:
        store: its tables.
        record: what was written down about it.
        algorithm: validation or calibration, with settings; what it is made of decides how the job is led.
        simulator: runs its design.
        hypotheses: its null hypotheses.
        backend: where work runs.
        journal: what is told about the work.
        display: progress for people.
        callback: called after every step.
        backups: keep the job elsewhere, too.
        deadline: time after which no new step begins.
        tiles: the tiles of its grid, where the algorithm knows them.
        worker_id: who works.
    """

    store: Store
    record: JobRecord
    algorithm: A
    simulator: Simulator
    hypotheses: tuple[HalfSpace, ...]
    backend: Backend
    journal: Journal
    display: ProgressDisplay
    callback: Callback | None = None
    backups: Sequence[Backup] = ()
    started: float = field(default_factory=time.monotonic)
    deadline: float = np.inf
    tiles: Tiles | None = None
    worker_id: int = LEADER

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def work(self) -> Work[A]:
        """What simulates its packets."""
        return Work(self.record, self.algorithm, self.simulator, self.tiles, self.hypotheses)

    def back_up(self) -> None:
        """Let the job be kept elsewhere as it stands; returns at once."""
        for backup in self.backups:
            backup.request()

    def finish_backups(self) -> None:
        """Let the job, which has ended, be kept elsewhere; wait for it."""
        self.journal.flush()
        for backup in self.backups:
            backup.finish()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Send log messages to the database while work is done, tell what stopped it, and end backups with it."""
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
            for backup in self.backups:
                backup.stop()
            logger.removeHandler(self.journal)
            logger.setLevel(level)
            self.journal.flush()

    def signed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the columns that say who wrote them and when."""
        return frame.assign(worker_id=self.worker_id, time=time.time())

    @staticmethod
    def fraction_below(
        simulator: Simulator,
        theta: FloatArray,
        null_truth: BoolArray,
        begin: int,
        n_sims: int,
        rank: int,
        values: FloatArray,
    ) -> FloatArray:
        """Return the fractions of one point's statistics that are strictly below some of its smallest.

        Values are at most the point's own threshold, the rank-th smallest, unless resampling shifts it up.
        """
        smallest = simulator.smallest(theta, null_truth, n_sims, min(n_sims, 2 * rank + 64), begin)[0]
        return np.searchsorted(smallest, values.astype(smallest.dtype), side="left") / n_sims


AnyJob: TypeAlias = Job[Any]
