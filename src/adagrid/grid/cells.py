"""Cells as columns: simplices with the simulated points at their vertices and the boxes around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, FloatArray, IdArray, IntArray
from adagrid.grid.columns import FrameColumns, column
from adagrid.grid.ids import Descent, tile_ids
from adagrid.grid.simplices import Simplices
from adagrid.grid.tiles import tile_columns


@final
@dataclass(frozen=True)
class Cells(FrameColumns):
    """A set of cells, one row each.

    Args:
        id: identifiers, shape (cells,).
        parent_id: ids of the grid's tiles, or of the replaced cells, that they are part of, shape (cells,).
        n_sims: least number of simulations at a vertex, shape (cells,).
        theta: centres of the smallest boxes around the cells, shape (cells, dim).
        radius: half-widths of these boxes, shape (cells, dim).
        null_truth: which null hypotheses are true inside, shape (cells, hypotheses).
        volume: volumes, shape (cells,).
        point_id: ids of the points at the vertices, shape (cells, dim + 1).
    """

    id: IdArray = field(metadata=column(np.uint64))
    parent_id: IdArray = field(metadata=column(np.uint64))
    n_sims: IntArray = field(metadata=column(np.int64))
    theta: FloatArray = field(metadata=column(np.float64, wide=True))
    radius: FloatArray = field(metadata=column(np.float64, wide=True))
    null_truth: BoolArray = field(metadata=column(np.bool_, wide=True))
    volume: FloatArray = field(metadata=column(np.float64))
    point_id: IdArray = field(metadata=column(np.uint64, "point", wide=True))

    @staticmethod
    def of(simplices: Simplices, point_id: IdArray, n_sims: IntArray) -> Cells:
        """Return simplices as cells, children of what they are part of, numbered in their order.

        Args:
            simplices: the simplices.
            point_id: ids of the points at the vertices, shape (simplices, dim + 1).
            n_sims: numbers of simulations of these points, same shape.
        """
        lower, upper = simplices.vertices.min(axis=1), simplices.vertices.max(axis=1)
        theta = lower + (upper - lower) / 2
        number = pd.Series(simplices.part_of).groupby(simplices.part_of).cumcount().to_numpy()
        return Cells(
            id=tile_ids(simplices.part_of, number, Descent.CELL),
            parent_id=simplices.part_of,
            theta=theta,
            radius=np.maximum(upper - theta, theta - lower),
            null_truth=simplices.null_truth,
            n_sims=n_sims.min(axis=1, initial=np.iinfo(np.int64).max),
            volume=simplices.volume,
            point_id=point_id,
        )

    def __repr__(self) -> str:
        return f"<{len(self):,} cells of {self.theta.shape[1]} parameters>"


def cell_columns(dim: int, n_nulls: int) -> Mapping[str, type]:
    """Return names and types of the columns of `Cells.to_frame`: those of tiles and the ids of the vertices."""
    return {**tile_columns(dim, n_nulls), **{f"point{i}": np.uint64 for i in range(dim + 1)}}
