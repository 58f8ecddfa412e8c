"""Simplices that cover a grid exactly. No null boundary that is a plane cuts a simplex."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import final

import numpy as np
import scipy

from adagrid._typing import BoolArray, FloatArray, IdArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.clip import crossings, piece_vertices
from adagrid.grid.columns import ColumnSet
from adagrid.grid.hypotheses import HalfSpace, NullHypothesis, split_half_spaces
from adagrid.grid.tiles import Tiles

# Coordinates closer than this, relative to the region and to the coordinates themselves, are made equal, so that
# neighbours share vertices exactly.
_SAME, _SAME_DIGITS = 1e-11, 1e-14
# Simplices thinner than this, in units of their piece, are rounding errors.
_FLAT = 1e-11
# Largest difference between the volume of a tile and of its simplices, relative to the tile.
_VOLUME = 1e-6


@final
@dataclass(frozen=True)
class Simplices(ColumnSet):
    """A set of simplices, one row each.

    Args:
        vertices: shape (simplices, dim + 1, dim).
        null_truth: which null hypotheses are true inside, shape (simplices, hypotheses).
        part_of: id of the tile or cell that the simplex is part of, shape (simplices,).
    """

    vertices: FloatArray
    null_truth: BoolArray
    part_of: IdArray

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return int(self.vertices.shape[2])

    @property
    def volume(self) -> FloatArray:
        """Volumes, shape (simplices,)."""
        edges = self.vertices[:, 1:] - self.vertices[:, :1]
        return np.abs(np.linalg.det(edges)) / factorial(self.dim)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The pairs of vertices that are the edges of every simplex."""
        return list(itertools.combinations(range(self.dim + 1), 2))

    def midpoint(self, edge: IntArray) -> FloatArray:
        """Return the midpoint of one edge of every simplex, given by its position in `edges`."""
        rows, ends = np.arange(len(self)), np.array(self.edges)[edge]
        return (self.vertices[rows, ends[:, 0]] + self.vertices[rows, ends[:, 1]]) / 2

    def bisect(self, edge: IntArray) -> Simplices:
        """Cut every simplex in two halves through the midpoint of one of its edges.

        Args:
            edge: position of the edge in `edges`, shape (simplices,).

        Returns:
            The halves, both of a simplex together, in the order of the simplices.
        """
        rows = np.arange(len(self))
        ends = np.array(self.edges)[edge]
        middle = self.midpoint(edge)
        halves = np.repeat(self.vertices, 2, axis=0)
        halves[2 * rows, ends[:, 1]] = middle
        halves[2 * rows + 1, ends[:, 0]] = middle
        return Simplices(halves, np.repeat(self.null_truth, 2, axis=0), np.repeat(self.part_of, 2))


def triangulate(tiles: Tiles, hypotheses: Sequence[NullHypothesis]) -> Simplices:
    """Cut the tiles of a grid into simplices, given the grid's null hypotheses.

    A whole box becomes Kuhn's dim! simplices, one for each monotone path from the lowest to the highest corner. A piece
    that planes cut off is the convex hull of its vertices, and has their Delaunay triangulation. Curved boundaries cut
    no simplex: the simplices of a tile have its null hypotheses.
    """
    cutting, _ = split_half_spaces(hypotheses)
    planes, columns = list(cutting.values()), list(cutting)
    lower, upper = tiles.theta - tiles.radius, tiles.theta + tiles.radius
    true, false = crossings(lower, upper, planes)
    crossed: BoolArray = np.any(true & false, axis=1)
    parts = [_kuhn(lower[~crossed], upper[~crossed], tiles.take(~crossed))]
    parts += [_delaunay(planes, columns, tiles.take(np.array([row]))) for row in np.flatnonzero(crossed)]
    every = Simplices.concatenate(parts)
    shared = np.stack([_merged(every.vertices[..., axis]) for axis in range(tiles.dim)], axis=-1)
    simplices = Simplices(shared, every.null_truth, every.part_of)
    _check_covered(tiles, simplices)
    return simplices


def _check_covered(tiles: Tiles, simplices: Simplices) -> None:
    """Refuse tiles that simplices do not cover, because they are as thin as rounding errors."""
    order = np.argsort(tiles.id)
    owner = order[np.searchsorted(tiles.id, simplices.part_of, sorter=order)]
    covered = np.bincount(owner, simplices.volume, len(tiles))
    lost = np.flatnonzero(np.abs(covered - tiles.volume) > _VOLUME * tiles.volume)
    if len(lost):
        raise InvalidInputError(
            "A tile, or the piece of one that null boundaries leave, is too thin to be covered by simplices, near "
            f"theta={tiles.theta[lost[0]].tolist()}. Move the region's edge or a boundary a little, or use another n."
        )


def _merged(values: FloatArray) -> FloatArray:
    """Replace numbers that differ only by rounding errors with the smallest of them."""
    distinct, place = np.unique(values, return_inverse=True)
    gap = _SAME_DIGITS * np.abs(distinct).max(initial=0.0) + _SAME * np.ptp(distinct)
    first = np.concatenate([[True], np.diff(distinct) > gap])
    return distinct[first][np.cumsum(first) - 1][place].reshape(values.shape)


def _kuhn(lower: FloatArray, upper: FloatArray, tiles: Tiles) -> Simplices:
    """Cut boxes into the simplices of all orders in which the coordinates can rise from low to high."""
    dim = tiles.dim
    orders = itertools.permutations(range(dim))
    high = np.array([[[axis in order[:k] for axis in range(dim)] for k in range(dim + 1)] for order in orders])
    vertices = np.where(high[None], upper[:, None, None, :], lower[:, None, None, :])
    n = len(high)
    return Simplices(vertices.reshape(-1, dim + 1, dim), np.repeat(tiles.null_truth, n, axis=0), np.repeat(tiles.id, n))


def _delaunay(planes: list[HalfSpace], columns: list[int], tile: Tiles) -> Simplices:
    """Triangulate the piece of one tile's box on the tile's sides of the null boundaries."""
    lower, width = (tile.theta - tile.radius)[0], 2 * tile.radius[0]
    corners = piece_vertices(lower[None], (lower + width)[None], planes, tile.null_truth[:, columns])
    extent = np.maximum(np.ptp(corners, axis=0), np.finfo(float).tiny)
    scaled = (corners - corners.min(axis=0)) / extent  # so that flatness means the same for every piece
    line = tile.dim == 1
    try:
        cells = np.array([[scaled.argmin(), scaled.argmax()]]) if line else scipy.spatial.Delaunay(scaled).simplices
    except scipy.spatial.QhullError:
        cells = np.empty((0, tile.dim + 1), int)
    edges = scaled[cells[:, 1:]] - scaled[cells[:, :1]]
    cells = cells[np.linalg.svd(edges, compute_uv=False)[:, -1] > _FLAT]
    n = len(cells)
    return Simplices((lower + corners * width)[cells], np.repeat(tile.null_truth, n, axis=0), np.repeat(tile.id, n))
