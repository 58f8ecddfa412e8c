"""Tiles as columns: hyperrectangles, each with the null hypotheses that are true on it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray

# Relative width by which a tile is enlarged when its vertices are used: more than the rounding of its centre
# and radius, and of every test of a vertex against a plane.
ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Tiles:
    """A set of tiles, one row each.

    A tile's box may reach beyond a null boundary that passes through it; the part of the box where exactly the
    hypotheses in `null_truth` are true is what the tile stands for, and `volume` is the volume of that part. Only
    planes cut tiles: where any other boundary may cross one, its hypothesis counts as true on all of it.

    Args:
        id: identifiers, shape (tiles,).
        parent_id: identifiers of the tiles they come from, 0 for roots, shape (tiles,).
        theta: centres, shape (tiles, dim).
        radius: half-widths, shape (tiles, dim).
        null_truth: which null hypotheses are true, shape (tiles, hypotheses).
        n_sims: simulations per tile, shape (tiles,).
        volume: volumes of the parts that the tiles stand for, shape (tiles,).
    """

    id: IdArray
    parent_id: IdArray
    theta: FloatArray
    radius: FloatArray
    null_truth: BoolArray
    n_sims: IntArray
    volume: FloatArray

    def __repr__(self) -> str:
        return f"<{len(self):,} tiles of {self.dim} parameters>"

    def __len__(self) -> int:
        return len(self.id)

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

    def take(self, index: Array | slice) -> Tiles:
        """Return the rows that an index array, mask or slice selects."""
        return Tiles(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

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

    def to_frame(self) -> pd.DataFrame:
        """Return the tiles as a data frame with columns theta0.., radius0.., null_truth0..."""
        columns: dict[str, Array] = {"id": self.id, "parent_id": self.parent_id, "n_sims": self.n_sims}
        columns |= matrix_columns("theta", self.theta) | matrix_columns("radius", self.radius)
        columns |= matrix_columns("null_truth", self.null_truth.astype(np.uint8))
        return pd.DataFrame(columns | {"volume": self.volume})

    @staticmethod
    def from_frame(frame: pd.DataFrame) -> Tiles:
        """Return the tiles of a data frame; other columns are ignored."""
        return Tiles(
            id=frame["id"].to_numpy(np.uint64),
            parent_id=frame["parent_id"].to_numpy(np.uint64),
            theta=matrix(frame, "theta").astype(float),
            radius=matrix(frame, "radius").astype(float),
            null_truth=matrix(frame, "null_truth").astype(bool),
            n_sims=frame["n_sims"].to_numpy(np.int64),
            volume=frame["volume"].to_numpy(float),
        )

    @staticmethod
    def concatenate(parts: Sequence[Tiles]) -> Tiles:
        """Return the rows of several sets of tiles, in order."""
        return Tiles(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Tiles)}
        )


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


def matrix_columns(prefix: str, values: Array) -> dict[str, Array]:
    """Return the columns of a matrix by name: the prefix and the column's number."""
    return {f"{prefix}{i}": values[:, i] for i in range(values.shape[1])}


def matrix(frame: pd.DataFrame, prefix: str) -> Array:
    """Return the matrix whose columns a data frame holds by the names of `matrix_columns`."""
    width = sum(1 for name in frame.columns if name.startswith(prefix) and name[len(prefix) :].isdigit())
    if not len(frame):
        return np.empty((0, width))
    return np.stack([frame[f"{prefix}{i}"].to_numpy() for i in range(width)], axis=1)
