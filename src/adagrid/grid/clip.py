"""Boxes cut by planes: the smallest box around each piece, and the piece's volume."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy

from adagrid._typing import BoolArray, FloatArray
from adagrid.grid.hypotheses import HalfSpace
from adagrid.grid.tiles import ROUNDING

# By how much, in units of the box, a computed vertex of a piece may miss a plane.
_TOLERANCE = 1e-9
# Pieces thinner than this, in units of the box, have no interior.
_FLAT = 1e-13


@final
@dataclass(frozen=True)
class Pieces:
    """Pieces of boxes on given sides of planes.

    Args:
        lower: lower corners of the smallest boxes that contain the pieces, shape (boxes, dim).
        upper: upper corners, shape (boxes, dim).
        volume: volumes of the pieces, shape (boxes,).
        empty: which pieces are empty, shape (boxes,); their corners mean nothing. Pieces without interior are empty:
            `refuse_touching` makes sure that a neighbouring tile covers them.
    """

    lower: FloatArray
    upper: FloatArray
    volume: FloatArray
    empty: BoolArray


def crossings(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace]) -> tuple[BoolArray, BoolArray]:
    """Return which hypotheses are true somewhere in a box, and which are false somewhere in it.

    The vertices of the box decide, because the sets are half-spaces. A vertex within rounding of a plane counts for
    neither side.

    Returns:
        (somewhere_true, somewhere_false), each of shape (boxes, planes). A plane crosses a box if both hold.
    """
    true = np.zeros((len(lower), len(planes)), bool)
    false = np.zeros_like(true)
    for j, plane in enumerate(planes):
        least, most, slack = extent(lower, upper, plane)
        true[:, j], false[:, j] = -least > slack, most > slack
    return true, false


def extent(lower: FloatArray, upper: FloatArray, plane: HalfSpace) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the least and the largest value of normal . theta - offset in boxes, and the rounding error.

    The hypothesis is false where the value is above 0. Each result has the shape (boxes,).
    """
    normal = np.asarray(plane.normal)
    least = np.sum(np.minimum(normal * lower, normal * upper), axis=1) - plane.offset
    most = np.sum(np.maximum(normal * lower, normal * upper), axis=1) - plane.offset
    scale = np.sum(np.abs(normal) * np.maximum(np.abs(lower), np.abs(upper)), axis=1) + abs(plane.offset)
    return least, most, ROUNDING * scale


def clip(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace], inside: BoolArray) -> Pieces:
    """Cut boxes by planes and keep the piece on the given side of every plane.

    Args:
        lower: lower corners, shape (boxes, dim).
        upper: upper corners, shape (boxes, dim).
        planes: boundaries of the hypotheses.
        inside: for each box and plane, whether the piece inside the hypothesis is kept, shape (boxes, planes).
    """
    lower, upper = lower.copy(), upper.copy()
    volume = np.prod(upper - lower, axis=1)
    if not planes:
        return Pieces(lower, upper, volume, np.zeros(len(lower), bool))
    true, false = crossings(lower, upper, planes)
    empty: BoolArray = np.any(np.where(inside, ~true, ~false), axis=1)
    volume[empty] = 0.0
    cut = true & false & ~empty[:, None]
    for pattern in np.unique(cut[cut.any(axis=1)], axis=0):
        crossing = [plane for plane, crosses in zip(planes, pattern, strict=True) if crosses]
        for sides in itertools.product((False, True), repeat=len(crossing)):
            which = np.flatnonzero((cut == pattern).all(axis=1) & (inside[:, pattern] == sides).all(axis=1))
            if which.size:
                part = _clip_alike(lower[which], upper[which], crossing, np.asarray(sides))
                lower[which], upper[which] = part.lower, part.upper
                volume[which], empty[which] = part.volume, part.empty
    return Pieces(lower, upper, volume, empty)


def _clip_alike(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace], inside: BoolArray) -> Pieces:
    """Cut boxes by the same planes and keep the same sides, in units of each box."""
    width = upper - lower
    rows, right = _rows(lower, width, planes, inside)
    first, last = _surrounding_box(rows, right)
    empty: BoolArray = np.zeros(len(lower), bool)
    vertices, valid = _vertices(rows, right)
    if len(planes) > 1:  # one plane's surrounding box is the smallest; several planes' may not be
        first = np.maximum(first, np.where(valid[..., None], vertices, np.inf).min(axis=1) - _TOLERANCE)
        last = np.minimum(last, np.where(valid[..., None], vertices, -np.inf).max(axis=1) + _TOLERANCE)
        empty = np.array([_is_flat(v[ok]) for v, ok in zip(vertices, valid, strict=True)])
    empty = empty | (last < first).any(axis=1)
    share = np.array([0.0 if gone else _hull_volume(v[ok]) for v, ok, gone in zip(vertices, valid, empty, strict=True)])
    new_lower = np.where((first > 0) & ~empty[:, None], lower + first * width, lower)
    new_upper = np.where((last < 1) & ~empty[:, None], lower + last * width, upper)
    return Pieces(new_lower, new_upper, share * np.prod(width, axis=1), empty)


def piece_vertices(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace], inside: BoolArray) -> FloatArray:
    """Return the vertices of a piece of one box on given sides of planes, in units of the box.

    Args:
        lower: lower corner, shape (1, dim).
        upper: upper corner, shape (1, dim).
        planes: boundaries of the hypotheses; planes that do not cross the box are ignored.
        inside: for each plane, whether the piece lies inside the hypothesis, shape (1, planes).

    Returns:
        Distinct vertices, shape (vertices, dim).
    """
    true, false = crossings(lower, upper, planes)
    cut = np.flatnonzero(true[0] & false[0])
    return common_vertices(lower, upper, [planes[j] for j in cut], inside[:, cut])


def common_vertices(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace], inside: BoolArray) -> FloatArray:
    """Return vertices like `piece_vertices`, also for planes that only touch the box and pieces without interior."""
    vertices, valid = _vertices(*_rows(lower, upper - lower, planes, inside[0]))
    return np.unique(np.round(vertices[0][valid[0]], 12), axis=0)


def _rows(
    lower: FloatArray, width: FloatArray, planes: list[HalfSpace], inside: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the planes as rows . u <= right for u from 0 to 1 in each box, scaled to the largest coefficient."""
    sign = np.where(inside, 1.0, -1.0)
    normal = np.array([plane.normal for plane in planes]) * sign[:, None]
    offset = np.array([plane.offset for plane in planes]) * sign
    rows = normal[None] * width[:, None, :]
    right = offset - np.sum(normal[None] * lower[:, None, :], axis=2)
    size = np.abs(rows).max(axis=2)
    return rows / size[:, :, None], right / size


def _surrounding_box(rows: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a box within the unit box that contains the piece, from each plane solved for each coordinate."""
    n, planes, dim = rows.shape
    first, last = np.zeros((n, dim)), np.ones((n, dim))
    for j in range(planes):
        row = rows[:, j, :]
        least = np.sum(np.minimum(row, 0.0), axis=1, keepdims=True) - np.minimum(row, 0.0)  # of the others
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = (right[:, j, None] - least) / row
        slack = 1e-12 / np.maximum(np.abs(row), 1e-300)
        last = np.where(row > 0, np.minimum(last, limit + slack), last)
        first = np.where(row < 0, np.maximum(first, limit - slack), first)
    return np.clip(first, 0.0, 1.0), np.clip(last, 0.0, 1.0)


def _vertices(rows: FloatArray, right: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the vertices of the pieces: the feasible solutions of dim of their 2 dim + planes equations.

    Returns:
        Candidates of shape (boxes, candidates, dim), and which of them are vertices, (boxes, candidates).
    """
    n, planes, dim = rows.shape
    faces = np.concatenate([-np.eye(dim), np.eye(dim)])
    rows = np.concatenate([np.broadcast_to(faces, (n, 2 * dim, dim)), rows], axis=1)
    right = np.concatenate([np.broadcast_to(np.repeat([0.0, 1.0], dim), (n, 2 * dim)), right], axis=1)
    vertices, valid = [], []
    for chosen in itertools.combinations(range(2 * dim + planes), dim):
        matrix = rows[:, chosen, :]
        regular = np.abs(np.linalg.det(matrix)) > 1e-12
        matrix = np.where(regular[:, None, None], matrix, np.eye(dim))
        vertex = np.linalg.solve(matrix, right[:, chosen, None])[..., 0]
        slack = right - np.sum(rows * vertex[:, None, :], axis=2)
        vertices.append(np.clip(vertex, 0.0, 1.0))
        valid.append(regular & (slack >= -_TOLERANCE).all(axis=1))
    return np.stack(vertices, axis=1), np.stack(valid, axis=1)


def _is_flat(vertices: FloatArray) -> bool:
    """Return whether points of the unit box span no volume beyond rounding."""
    if len(vertices) <= vertices.shape[1]:
        return True
    return bool(np.linalg.svd(vertices - vertices.mean(axis=0), compute_uv=False)[-1] < _FLAT)


def _hull_volume(vertices: FloatArray) -> float:
    """Return the volume of the convex hull of vertices; 0 if it is flat."""
    if vertices.shape[1] == 1:
        return float(np.ptp(vertices))
    try:
        lower, extent = vertices.min(axis=0), np.ptp(vertices, axis=0)
        distinct = np.unique(np.round((vertices - lower) / extent, 12), axis=0)
        return float(scipy.spatial.ConvexHull(distinct).volume * np.prod(extent))
    except (scipy.spatial.QhullError, ValueError):
        return 0.0
