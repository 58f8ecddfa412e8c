"""Lower bounds of a mean between points, from lower bounds at points.

For a function of the data with values in [0, 1] and mean p(theta), log p + A is convex: it is the logarithm of an
integral of exp(theta x). A point lies between theta = point + v and point - s v for every s > 0, and p is at most 1, so

    log p(point + v) >= (1 + 1/s) log p(point) - K(v) - K(-s v)/s,     K(v) = A(point + v) - A(point).

The right side is concave in v for every s and any exponential family, so on any polytope of v it is least at a vertex.
Every s gives a valid bound. The least bound over the vertices is concave in 1/s, so a one-dimensional search suffices.
This is the tilt bound read backwards, from point + v to the point. It is tight where p is small. Where p is near 1, one
minus an upper bound of 1 - p is better: above one half, the code returns the larger of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from adagrid._typing import ArrayLike, FloatArray
from adagrid.bounds._search import golden_section
from adagrid.bounds.interpolated import check_inside, interpolated_bound
from adagrid.bounds.tilt import checked_level, is_point, largest_excess, tilt_bound
from adagrid.families import Family

# The search for log s covers this distance around the best value for a normal mean, in this many steps. s stays this
# share inside the largest value that the natural parameter space allows. A shorter search finds the best vertices of a
# simplex, up to a difference of _CLOSE.
_AROUND, _ITERATIONS, _INSIDE = 4.0, 18, 1 - 1e-6
_NEAR, _FEW, _CLOSE = 2.0, 3, 0.1
# Up to this level, one minus the bound of the complement is no better.
_SMALL = 0.5
# Units in the last place by which logarithms move to the safe side, and share by which displacements grow. K(s v)/s
# never falls as s grows.
_ULPS, _STRETCH = 32 * np.finfo(float).eps, 16 * np.finfo(float).eps
_SLICE = 4096


def tilt_lower_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Bound a mean from below on tiles, from one point each.

    Args:
        family: distribution of the data.
        theta: the points, shape (tiles, dim).
        displacements: vertices of boxes minus the point, shape (tiles, vertices, dim).
        level: a lower bound in [0, 1] of the mean at the point; shape (tiles,) or a number.

    Returns:
        Lower bounds in [0, level], shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    a = checked_level(level, len(theta))
    largest_excess(family, theta, displacements)  # raises
    result = _in_slices(partial(_backwards, family), theta, displacements, a)
    large = a > _SMALL
    if large.any():
        complement = tilt_bound(family, theta[large], displacements[large], _complement(a[large]))
        result[large] = np.maximum(result[large], _down(1 - complement))
    return np.where(is_point(displacements), a, np.clip(result, 0.0, a))


def interpolated_lower_bound(
    family: Family,
    vertices: FloatArray,
    lower: FloatArray,
    *,
    above: Callable[[Family, FloatArray, FloatArray], FloatArray] = interpolated_bound,
) -> FloatArray:
    """Bound a mean from below on simplices, from their vertices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        lower: lower bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).
        above: upper bound of the complement. Checks pass `interpolated_reach`, which no valid upper bound is below.

    Returns:
        Lower bounds in [0, largest of `lower`], shape (simplices,). They may exceed `lower` at a vertex with a poor
        bound.

    Raises:
        InvalidInputError: if `lower` leaves [0, 1].
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    best = np.zeros(len(vertices))
    check_inside(family, vertices)
    large = lower.max(axis=1, initial=0.0) > _SMALL
    if large.any():
        best[large] = _down(1 - above(family, vertices[large], _complement(lower[large])))
    best = np.maximum(best, _in_slices(partial(_from_best_vertices, family), vertices, lower))
    return np.clip(best, 0.0, lower.max(axis=1, initial=0.0))


def _complement(level: FloatArray) -> FloatArray:
    """Return 1 - level, rounded up: a mean of 0 at a point would be 0 everywhere."""
    return np.minimum(1 - level + np.finfo(float).eps, 1.0)


def _down(probability: FloatArray) -> FloatArray:
    return probability * (1 - 2 * np.finfo(float).eps)


def _in_slices(bound: Callable[..., FloatArray], *arrays: FloatArray) -> FloatArray:
    """Compute bounds of the rows of arrays in slices that fit in cache."""
    found = np.empty(len(arrays[0]))
    for begin in range(0, len(found), _SLICE):
        part = slice(begin, begin + _SLICE)
        found[part] = bound(*(array[part] for array in arrays))
    return found


def _from_best_vertices(family: Family, vertices: FloatArray, lower: FloatArray) -> FloatArray:
    """Return the best bound over the vertices that a short search selects."""
    best, losses = np.zeros(len(vertices)), np.empty_like(lower)
    others = [np.delete(vertices, i, axis=1) - vertices[:, [i]] for i in range(vertices.shape[1])]
    for i, displacements in enumerate(others):
        losses[:, i], _ = _search(family, vertices[:, i], displacements, lower[:, i], _NEAR, _FEW)
    close = losses <= losses.min(axis=1, keepdims=True) + _CLOSE
    for i, displacements in enumerate(others):
        rows = np.flatnonzero(close[:, i])
        found = _backwards(family, vertices[rows, i], displacements[rows], lower[rows, i])
        best[rows] = np.maximum(best[rows], found)
    return best


def _backwards(family: Family, theta: FloatArray, displacements: FloatArray, level: FloatArray) -> FloatArray:
    """Return the least bound over the vertices and the point, shape (tiles,)."""
    _, s = _search(family, theta, displacements, level, _AROUND, _ITERATIONS)
    here, back = theta[:, None, :], s[:, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # extreme tiles get the trivial bound
        there = family.cumulant(here, displacements * (1 + _STRETCH))
        behind = family.cumulant(here, -(back * (1 + _STRETCH))[:, :, None] * displacements) / back
        farthest = (there + behind + _ULPS * (np.abs(there) + np.abs(behind))).max(axis=1, initial=0.0)
        minus = -np.log(level)
        rounding = 1 + (1 + 1 / s) * (np.abs(family.log_partition(theta)) + minus)
        loss = (1 + 1 / s) * minus + farthest + _ULPS * rounding
    return np.where((level > 0) & ~np.isnan(loss), np.exp(-np.maximum(loss, 0.0)), 0.0)  # NaN: no information


def _search(
    family: Family, theta: FloatArray, displacements: FloatArray, level: FloatArray, around: float, iterations: int
) -> tuple[FloatArray, FloatArray]:
    """Minimise minus the logarithm of the bound over s, approximately.

    Every s gives a valid bound, so differences of log-partitions are accurate enough.

    Returns:
        The least value found and its s, both of shape (tiles,).
    """
    here = theta[:, None, :]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        minus, size = -np.log(level), family.log_partition(here)
        there = family.log_partition(here + displacements) - size
        # K is about mean * v + |v|^2 / 2, v in standard errors
        square = np.abs(there + family.log_partition(here - displacements) - size).max(axis=1, initial=0.0)
        guess = np.log(2 * minus / square) / 2
        guess = np.where(np.isfinite(guess), guess, 0.0)
        reach = family.reach(here, -displacements).min(axis=1, initial=np.inf)
        high = np.minimum(np.log(reach * _INSIDE), guess + around)

        def loss(log_s: FloatArray) -> FloatArray:
            back = np.exp(log_s)[:, None]
            behind = (family.log_partition(here - back[:, :, None] * displacements) - size) / back
            cost = (1 + 1 / back[:, 0]) * minus + (there + behind).max(axis=1, initial=0.0)
            return np.where(np.isnan(cost), np.inf, cost)

        least, place, _ = golden_section(loss, high - 2 * around, high, iterations)
    return least, np.exp(place)
