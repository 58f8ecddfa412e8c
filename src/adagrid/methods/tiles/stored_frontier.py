"""What the leader and the zones of a job with tiles keep of its tables in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from adagrid._typing import Array, FloatArray, IntArray
from adagrid.grid import Tiles
from adagrid.grid.tiles import tile_columns
from adagrid.methods.tiles.algorithm import TileAlgorithm
from adagrid.methods.tiles.frontier import Frontier
from adagrid.runtime.job import Job
from adagrid.runtime.requests import FractionsRequest
from adagrid.stores import ZoneView


def read_frontier(job: Job[TileAlgorithm], view: ZoneView) -> Frontier:
    """Read the active tiles that a zone sees."""
    pages = job.store.frontier(view, frontier_columns(job)[1:])
    return Frontier(job.algorithm.layout, map(_columns, pages))


def _columns(page: pd.DataFrame) -> dict[str, Array]:
    return {str(name): page[name].to_numpy() for name in page}


def frontier_columns(job: Job[TileAlgorithm]) -> Sequence[str]:
    """Return the columns of results that a frontier holds: those of tiles, `id` first, and the algorithm's."""
    schema = job.store.schema
    return tuple(dict.fromkeys([*tile_columns(schema.dim, schema.n_nulls), *job.algorithm.layout.columns]))


def taken(job: Job[TileAlgorithm], frontier: Frontier, positions: IntArray) -> pd.DataFrame:
    """Return all that a frontier holds of tiles."""
    return pd.DataFrame(frontier.take(frontier_columns(job), positions))


def tile_fraction_below(job: Job[TileAlgorithm], frontier: Frontier, position: int, values: FloatArray) -> FloatArray:
    """Return the fractions of a tile's statistics that are strictly below some of its smallest."""
    tile = taken(job, frontier, np.array([position]))
    return job.fraction_below(FractionsRequest(Tiles.from_frame(tile), 0, int(tile["rank"].iloc[0]), values))
