"""What the leader and the zones of a job with tiles read of its tables."""

from __future__ import annotations

import numpy as np

from adagrid._typing import FloatArray
from adagrid.algorithms import Algorithm, Frontier
from adagrid.grid import Tiles
from adagrid.jobs.job import Job
from adagrid.stores import ZoneView


def read_frontier(job: Job[Algorithm], view: ZoneView) -> Frontier:
    """Read the active tiles that a zone sees."""
    frame = job.store.frontier(view, job.algorithm.frontier_columns)
    return Frontier({str(name): frame[name].to_numpy() for name in frame.columns})


def tile_fraction_below(job: Job[Algorithm], tile: np.uint64, values: FloatArray) -> FloatArray:
    """Return the fractions of a tile's statistics that are strictly below some of its smallest."""
    tiles = Tiles.from_frame(job.store.rows("tiles", np.array([tile], np.uint64)))
    rank = int(job.store.rows("results", np.array([tile], np.uint64))["rank"].iloc[0])
    return job.fraction_below(job.simulator, tiles.theta, tiles.null_truth, 0, int(tiles.n_sims[0]), rank, values)
