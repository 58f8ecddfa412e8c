"""Cells as columns: simplices with the simulated points at their vertices and the boxes around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray
from adagrid.grid.ids import Descent, tile_ids
from adagrid.grid.simplices import Simplices
from adagrid.grid.tiles import matrix, matrix_columns, tile_columns


@final
@dataclass(frozen=True)
class Cells:
    """A set of cells, one row each.

    Args:
        id: identifiers, shape (cells,).
        parent_id: ids of the grid's tiles, or of the replaced cells, that they are part of, shape (cells,).
        theta: centres of the smallest boxes around the cells, shape (cells, dim).
        radius: half-widths of these boxes, shape (cells, dim).
        null_truth: which null hypotheses are true inside, shape (cells, hypotheses).
        n_sims: least number of simulations at a vertex, shape (cells,).
        volume: volumes, shape (cells,).
        point_id: ids of the points at the vertices, shape (cells, dim + 1).
    """

    id: IdArray
    parent_id: IdArray
    theta: FloatArray
    radius: FloatArray
    null_truth: BoolArray
    n_sims: IntArray
    volume: FloatArray
    point_id: IdArray

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

    def __len__(self) -> int:
        return len(self.id)

    def take(self, index: Array | slice) -> Cells:
        """Return the rows that an index array, mask or slice selects."""
        return Cells(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def to_frame(self) -> pd.DataFrame:
        """Return the cells as a data frame with the columns of `cell_columns`."""
        return pd.DataFrame(
            {
                "id": self.id,
                "parent_id": self.parent_id,
                "n_sims": self.n_sims,
                **matrix_columns("theta", self.theta),
                **matrix_columns("radius", self.radius),
                **matrix_columns("null_truth", self.null_truth.astype(np.uint8)),
                "volume": self.volume,
                **matrix_columns("point", self.point_id),
            }
        )

    @staticmethod
    def from_frame(frame: pd.DataFrame) -> Cells:
        """Return the cells of a data frame; other columns are ignored."""
        return Cells(
            id=frame["id"].to_numpy(np.uint64),
            parent_id=frame["parent_id"].to_numpy(np.uint64),
            theta=matrix(frame, "theta").astype(float),
            radius=matrix(frame, "radius").astype(float),
            null_truth=matrix(frame, "null_truth").astype(bool),
            n_sims=frame["n_sims"].to_numpy(np.int64),
            volume=frame["volume"].to_numpy(float),
            point_id=matrix(frame, "point").astype(np.uint64),
        )


def cell_columns(dim: int, n_nulls: int) -> Mapping[str, type]:
    """Return names and types of the columns of `Cells.to_frame`: those of tiles and the ids of the vertices."""
    return {**tile_columns(dim, n_nulls), **{f"point{i}": np.uint64 for i in range(dim + 1)}}
