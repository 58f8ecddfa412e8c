"""Lower bounds of a mean between points, from lower bounds of it at points.

For a function of the data with values in [0, 1] and mean p(theta), log p + A is convex: it is the logarithm of an
integral of exp(theta x). A point lies between theta = point + v and point - s v for every s > 0, and p is at most 1, so

    log p(point + v) >= (1 + 1/s) log p(point) - K(v) - K(-s v)/s,     K(v) = A(point + v) - A(point).

The right side is concave in v for every s and any exponential family, so it is least at a vertex of any polytope of v;
every s gives a valid bound, and as a function of 1/s the worst over vertices is concave, so a one-dimensional search
suffices. This is the tilt bound read backwards, from point + v to the point. It is tight where p is small; where p is
near 1, one minus an upper bound of 1 - p is better: above one half, the larger of the two is returned.
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

# How far log s is searched around its best value for a normal mean, in how many steps, and how far s stays inside the
# largest that the natural parameter space allows. Of a simplex fewer steps tell from which vertex the bound is best.
_AROUND, _ITERATIONS, _INSIDE = 4.0, 18, 1 - 1e-6
_NEAR, _FEW, _CLOSE = 2.0, 3, 0.1
# Levels up to which one minus the bound of the complement is no better.
_SMALL = 0.5
# Units in the last place by which logarithms move to the safe side, and share by which displacements do: K(s v)/s
# never falls as s grows.
_ULPS, _STRETCH = 32 * np.finfo(float).eps, 16 * np.finfo(float).eps
_SLICE = 4096


def tilt_lower_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Bound a mean from below everywhere on tiles, from a lower bound of it at one point of each tile.

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
    """Bound a mean from below everywhere on simplices, from lower bounds of it at the vertices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        lower: lower bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).
        above: bounds the complement from above; checks give `interpolated_reach`, which no bound of it is below.

    Returns:
        Lower bounds in [0, largest of `lower`], shape (simplices,): where one vertex is known badly, others may tell
        more about it.

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
    """Return 1 - level, rounded up: a level of 1 may be less, and a mean of 0 would be 0 everywhere."""
    return np.minimum(1 - level + np.finfo(float).eps, 1.0)


def _down(probability: FloatArray) -> FloatArray:
    return probability * (1 - 2 * np.finfo(float).eps)


def _in_slices(bound: Callable[..., FloatArray], *arrays: FloatArray) -> FloatArray:
    """Return bounds of rows of arrays, computed for so many at once that they fit in cache."""
    found = np.empty(len(arrays[0]))
    for begin in range(0, len(found), _SLICE):
        part = slice(begin, begin + _SLICE)
        found[part] = bound(*(array[part] for array in arrays))
    return found


def _from_best_vertices(family: Family, vertices: FloatArray, lower: FloatArray) -> FloatArray:
    """Return the bound of the module's first lines from those vertices that a short search does not find worse."""
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
    """Return the bound of the module's first lines at vertices and at the point itself, shape (tiles,)."""
    _, s = _search(family, theta, displacements, level, _AROUND, _ITERATIONS)
    here, back = theta[:, None, :], s[:, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # extreme tiles get the trivial bound
        there = family.cumulant(here, displacements * (1 + _STRETCH))
        behind = family.cumulant(here, -(back * (1 + _STRETCH))[:, :, None] * displacements) / back
        farthest = (there + behind + _ULPS * (np.abs(there) + np.abs(behind))).max(axis=1, initial=0.0)
        minus = -np.log(level)
        rounding = 1 + (1 + 1 / s) * (np.abs(family.log_partition(theta)) + minus)
        loss = (1 + 1 / s) * minus + farthest + _ULPS * rounding
    return np.where((level > 0) & ~np.isnan(loss), np.exp(-np.maximum(loss, 0.0)), 0.0)  # NaN: nothing is known


def _search(
    family: Family, theta: FloatArray, displacements: FloatArray, level: FloatArray, around: float, iterations: int
) -> tuple[FloatArray, FloatArray]:
    """Return about the least of minus the logarithm of the bound over s, and that s, both of shape (tiles,).

    Every s gives a valid bound, so differences of log-partitions are accurate enough.
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
