"""A job that is being worked on: what steps, zones and the leader share."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import FloatArray
from adagrid.algorithms import Algorithm, Frontier
from adagrid.backends import Backend
from adagrid.engine import Simulator
from adagrid.grid import HalfSpace, Tiles
from adagrid.jobs.journal import Journal
from adagrid.jobs.progress import Callback, ProgressDisplay
from adagrid.jobs.record import JobRecord
from adagrid.stores import Store, ZoneView

logger = logging.getLogger("adagrid")

LEADER = 1


@final
@dataclass(frozen=True)
class Job:
    """A job under way.

    Args:
        store: its tables.
        record: what was written down about it.
        algorithm: validation or calibration, with settings.
        simulator: runs its design.
        hypotheses: its null hypotheses.
        backend: where work runs.
        journal: what is told about the work.
        display: progress for people.
        callback: called after every step.
        deadline: time after which no new step begins.
        worker_id: who works.
    """

    store: Store
    record: JobRecord
    algorithm: Algorithm
    simulator: Simulator
    hypotheses: Sequence[HalfSpace]
    backend: Backend
    journal: Journal
    display: ProgressDisplay
    callback: Callback | None = None
    started: float = field(default_factory=time.monotonic)
    deadline: float = np.inf
    worker_id: int = LEADER

    def signed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the columns that say who wrote them and when."""
        return frame.assign(worker_id=self.worker_id, time=time.time())

    def frontier(self, view: ZoneView) -> Frontier:
        """Read the active tiles that a zone sees."""
        frame = self.store.frontier(view, self.algorithm.frontier_columns)
        return Frontier({str(name): frame[name].to_numpy() for name in frame.columns})

    def fraction_below(self, tile: np.uint64, values: FloatArray) -> FloatArray:
        """Return the fractions of a tile's statistics that are strictly below some of its smallest."""
        tiles = Tiles.from_frame(self.store.rows("tiles", np.array([tile], np.uint64)))
        n_sims = int(tiles.n_sims[0])
        rank = int(self.store.rows("results", np.array([tile], np.uint64))["rank"].iloc[0])
        # values are at most the tile's own threshold, the rank-th smallest, unless resampling shifts it up
        statistics = self.simulator.smallest(tiles.theta, tiles.null_truth, n_sims, min(n_sims, 2 * rank + 64))[0]
        return np.searchsorted(statistics, values.astype(statistics.dtype), side="left") / n_sims
