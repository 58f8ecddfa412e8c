"""Tiles as columns: hyperrectangles, each with the null hypotheses that are true on it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IdArray, IntArray
from adagrid.grid.columns import FrameColumns, column

# Relative amount that enlarges a tile when its vertices are used. It exceeds the rounding of its centre and radius, and
# of every test of a vertex against a plane.
ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Tiles(FrameColumns):
    """A set of tiles, one row each.

    A tile's box may reach beyond a null boundary that passes through it. The tile represents the part of the box where
    exactly the hypotheses in `null_truth` are true, and `volume` is the volume of this part. Only planes cut tiles. If
    a curved boundary may cross a tile, its hypothesis counts as true on the whole tile.

    Args:
        id: identifiers, shape (tiles,).
        parent_id: identifiers of the parents, 0 for roots, shape (tiles,).
        n_sims: simulations per tile, shape (tiles,).
        theta: centres, shape (tiles, dim).
        radius: half-widths, shape (tiles, dim).
        null_truth: which null hypotheses are true, shape (tiles, hypotheses).
        volume: volumes of the parts that the tiles represent, shape (tiles,).
    """

    id: IdArray = field(metadata=column(np.uint64))
    parent_id: IdArray = field(metadata=column(np.uint64))
    n_sims: IntArray = field(metadata=column(np.int64))
    theta: FloatArray = field(metadata=column(np.float64, wide=True))
    radius: FloatArray = field(metadata=column(np.float64, wide=True))
    null_truth: BoolArray = field(metadata=column(np.bool_, wide=True))
    volume: FloatArray = field(metadata=column(np.float64))

    def __repr__(self) -> str:
        return f"<{len(self):,} tiles of {self.dim} parameters>"

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return int(self.theta.shape[1])

    @property
    def n_nulls(self) -> int:
        """Number of null hypotheses (columns of `null_truth`)."""
        return int(self.null_truth.shape[1])

    @property
    def box_volume(self) -> FloatArray:
        """Volumes of the boxes, shape (tiles,)."""
        return np.prod(2 * self.radius, axis=1)

    def with_n_sims(self, n_sims: int) -> Tiles:
        """Return the same tiles with a number of simulations."""
        return replace(self, n_sims=np.full(len(self), n_sims, np.int64))

    def displacements(self, points: FloatArray) -> FloatArray:
        """Return vertices minus points, the box enlarged by more than its rounding errors.

        Args:
            points: one point per tile (its centre, as the model's precision represents it), shape (tiles, dim).

        Returns:
            Shape (tiles, 2^dim, dim).
        """
        corners = np.array(list(itertools.product((-1.0, 1.0), repeat=self.dim)))
        slack = ROUNDING * (np.abs(self.theta) + self.radius)
        width = np.where(self.radius > 0, self.radius + slack, 0.0)
        return (self.theta - points)[:, None, :] + corners * width[:, None, :]


def tile_columns(dim: int, n_nulls: int) -> Mapping[str, type]:
    """Return names and types of the columns of `Tiles.to_frame`."""
    return {
        "id": np.uint64,
        "parent_id": np.uint64,
        "n_sims": np.int64,
        **{f"theta{i}": np.float64 for i in range(dim)},
        **{f"radius{i}": np.float64 for i in range(dim)},
        **{f"null_truth{i}": np.uint8 for i in range(n_nulls)},
        "volume": np.float64,
    }
