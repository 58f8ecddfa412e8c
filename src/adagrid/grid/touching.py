"""Refuse null hypotheses that are true together only where their boundaries touch, because no tile represents this.

For example, x <= 0 and x >= 0 are both true at 0, and x <= 0 is true at the edge of a region from 0 to 1. The set where
several hypotheses are true together must have an interior. Then each of its points belongs to a (closed) tile on which
all of them are true.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import scipy

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.clip import common_vertices, extent
from adagrid.grid.hypotheses import HalfSpace

# Hypotheses merely touch if their common part contains no ball larger than this share of the region's sides. If the
# numbers are larger than the sides, their rounding errors are, too, and the share grows.
_TOUCHING = 1e-9


def refuse_touching(planes: list[HalfSpace], lower: FloatArray, upper: FloatArray) -> None:
    """Refuse hypotheses whose common part in a region is not empty, but has no interior.

    Args:
        planes: boundaries of the hypotheses.
        lower: lower corner of the region, which tiles cover completely.
        upper: upper corner.

    Raises:
        InvalidInputError: naming the hypotheses.
    """
    for some in _combinations(len(planes)):
        if _touch([planes[j] for j in some], lower, upper) == 0:
            raise InvalidInputError(
                f"Null hypotheses that are true together must be so in more than a boundary, but "
                f"{_described(planes, some)} are true together only at the edge of each other or of the region, where "
                "no tile lies. Let them overlap a little (for example 'x <= 0.001' with 'x >= -0.001'), or move the "
                "region's edge."
            )


def refuse_loose_edges(planes: list[HalfSpace], lower: FloatArray, upper: FloatArray) -> None:
    """Refuse hypotheses that touch in boxes with gaps between them, unless other boxes cover the touching edge.

    Args:
        planes: boundaries of the hypotheses, which `refuse_touching` does not refuse for the region around the boxes.
        lower: lower corners of the boxes, shape (boxes, dim).
        upper: upper corners, shape (boxes, dim).

    Raises:
        InvalidInputError: naming the hypotheses and a box.
    """
    for some in _combinations(len(planes)):
        together = [planes[j] for j in some]
        side = _sides(together, lower, upper)
        for box in np.flatnonzero(side == 0):
            common = _common_box(together, lower[box], upper[box])
            if common is not None and not _covered(*common, lower[side > 0], upper[side > 0]):
                raise InvalidInputError(
                    f"{_described(planes, some)} would be true only at the edge of the tile around "
                    f"theta={(lower[box] + (upper[box] - lower[box]) / 2).tolist()}, and there is no tile beyond it "
                    "that stands for this edge. Add one, or move the tile's edge off the boundary."
                )


def _combinations(n: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, n + 1):
        yield from itertools.combinations(range(n), size)


def _described(planes: list[HalfSpace], some: tuple[int, ...]) -> str:
    return " and ".join(repr(planes[j].describe()) for j in some)


def _sides(planes: list[HalfSpace], lower: FloatArray, upper: FloatArray) -> IntArray:
    """Return whether half-spaces share an interior with boxes (1), only an edge (0), or nothing (-1).

    The answer is 0 when in doubt: two planes that each share an edge with a box need not share the same edge.
    """
    least, most, slack = np.array([extent(lower, upper, plane) for plane in planes]).swapaxes(0, 1)
    crossing = (most > slack).sum(axis=0)  # planes that hold on part of a box only
    side = np.where((least > slack).any(axis=0), -1, np.where((least >= -slack).any(axis=0), 0, 1))
    for box in np.flatnonzero((side > 0) & (crossing > 1)):
        side[box] = _touch(planes, lower[box], upper[box])
    return side


def _touch(planes: list[HalfSpace], lower: FloatArray, upper: FloatArray) -> int:
    """Return the answer of `_sides` for one box, from the largest ball in the common part, in units of the box."""
    normal, offset = np.array([plane.normal for plane in planes]), np.array([plane.offset for plane in planes])
    width, largest = upper - lower, np.maximum(np.abs(lower), np.abs(upper))
    length = np.sqrt(np.sum((normal * width) ** 2, axis=1))
    numbers = (np.abs(offset) + np.abs(normal) @ largest) / length  # whose rounding matters
    offset = (offset - normal @ lower) / length
    ball = _ball if len(planes) == 1 else _ball_between
    radius = ball(normal * width / length[:, None], offset, np.zeros_like(width), np.ones_like(width))
    return 0 if abs(radius) <= _TOUCHING * (1 + numbers.max()) else int(np.sign(radius))


def _ball(normal: FloatArray, offset: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Return the radius of the largest ball in a box and one half-space; below zero if they are disjoint.

    A ball of radius r fits if r <= half (of every side) and normal.middle - |normal|.(half - r) + r <= offset.
    """
    unit, half = normal[0], (upper - lower) / 2
    room = offset[0] - unit @ (lower + half) + np.abs(unit) @ half
    return float(min(half.min(), room / (1 + np.abs(unit).sum())))


def _ball_between(normal: FloatArray, offset: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Return the radius for several half-spaces, by a linear program; 0 if it has no solution."""
    left = np.concatenate([normal, np.eye(len(lower)), -np.eye(len(lower))])
    answer = scipy.optimize.linprog(
        np.r_[np.zeros(len(lower)), -1.0],
        A_ub=np.c_[left, np.ones(len(left))],
        b_ub=np.concatenate([offset, upper, -lower]),
        bounds=[(None, None)] * (len(lower) + 1),
    )
    return -float(answer.fun or 0.0) if answer.status == 0 else 0.0


def _common_box(planes: list[HalfSpace], lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return corners of the smallest box around the common part of half-spaces and a box; None if it is empty."""
    if len(planes) == 1:  # that touches: a face of the box
        normal = np.asarray(planes[0].normal)
        return np.where(normal < 0, upper, lower), np.where(normal > 0, lower, upper)
    vertices = common_vertices(lower[None], upper[None], planes, np.ones((1, len(planes)), bool))
    if not len(vertices):
        return None
    return lower + vertices.min(axis=0) * (upper - lower), lower + vertices.max(axis=0) * (upper - lower)


def _covered(first: FloatArray, last: FloatArray, lower: FloatArray, upper: FloatArray) -> bool:
    """Return whether boxes cover a box, which may be flat.

    The edges of the boxes cut it into a lattice. The boxes cover it if they contain the middle of every part.
    """
    slack = 4 * _TOUCHING * (np.maximum(np.abs(first), np.abs(last)) + np.abs(last - first))
    near = ((lower <= last + slack) & (upper >= first - slack)).all(axis=1)
    lower, upper = lower[near] - slack, upper[near] + slack
    middles = []
    for axis in range(len(first)):
        inner = np.concatenate([lower[:, axis], upper[:, axis]])
        inside = inner[(inner > first[axis]) & (inner < last[axis])]
        cuts = np.concatenate([first[axis : axis + 1], np.unique(inside), last[axis : axis + 1]])
        middles.append((cuts[:-1] + cuts[1:]) / 2)
    points = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 1, len(first))
    within: BoolArray = np.all((points >= lower) & (points <= upper), axis=2)
    return bool(within.any(axis=1).all())
