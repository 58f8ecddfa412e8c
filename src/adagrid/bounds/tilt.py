"""The tilt bound: Hölder's inequality for a change of parameter in an exponential family.

For a function of the data with values in [0, 1] whose mean at theta is a, for a displacement v and every q >= 1,

    E_(theta+v) <= a^(1 - 1/q) * exp( K(q v)/q - K(v) ),     K(v) = A(theta + v) - A(theta)

(Sklar, Yang, Thompson, arXiv 2212.10042). On a tile the bound is the least over q of the worst over the tile's
vertices: it is quasi-convex in v, so vertices suffice, and quasi-convex in q, so a one-dimensional search
suffices. Every q gives a valid bound, so an inexact search costs tightness and never validity.

All is computed in float64 and in logarithms, and moved to the safe side by more than its rounding error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import ArrayLike, BoolArray, FloatArray
from adagrid.errors import DomainError, InvalidInputError
from adagrid.families import Family

# Search range and accuracy for t = log(q - 1).
_LOWEST, _HIGHEST, _ITERATIONS = -8.0, 22.0, 34
_GOLDEN = (np.sqrt(5.0) - 1) / 2
# q stays this share inside the largest value that the natural parameter space allows.
_INSIDE = 1 - 1e-6
# Units in the last place by which results move to the safe side.
_ULPS = 32 * np.finfo(float).eps
# Tiles per slice: the working set of the search then fits in cache.
_SLICE = 4096


def tilt_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Bound a mean everywhere on tiles, from a bound on it at one point of each tile.

    Args:
        family: distribution of the data.
        theta: the points, shape (tiles, dim).
        displacements: tile vertices minus the point, shape (tiles, vertices, dim).
        level: a in [0, 1], (an upper bound of) the mean at the point; shape (tiles,) or a number.

    Returns:
        Upper bounds in [level, 1], shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    a = _checked_level(level, len(theta))
    with np.errstate(divide="ignore"):
        log_a = np.log(a)

    def log_bound(tilt: _Tilt, log_a: FloatArray, log_excess: FloatArray) -> FloatArray:
        share = 1 / (1 + np.exp(-log_excess))  # 1 - 1/q
        return share[:, None] * log_a[:, None] + tilt.log_cost(log_excess)

    result = np.exp(np.minimum(_search(family, theta, displacements, log_a, log_bound), 0.0))
    result = np.where(_is_point(displacements), a, result)
    return np.where(a <= 0, 0.0, np.clip(result, a, 1.0))


def inverse_tilt_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Return the largest mean at a point for which `tilt_bound` stays within `level` on the whole tile.

    U^-1 = (level * exp(K(v) - K(q v)/q))^(q / (q - 1)); the largest over q of the least over vertices.

    Args:
        family: distribution of the data.
        theta: the points, shape (tiles, dim).
        displacements: tile vertices minus the point, shape (tiles, vertices, dim).
        level: alpha in [0, 1], shape (tiles,) or a number.

    Returns:
        Levels in [0, level], shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    alpha = _checked_level(level, len(theta))
    with np.errstate(divide="ignore"):
        log_alpha = np.log(alpha)

    def log_loss(tilt: _Tilt, log_alpha: FloatArray, log_excess: FloatArray) -> FloatArray:
        power = 1 + np.exp(-log_excess)  # q / (q - 1)
        return power[:, None] * (tilt.log_cost(log_excess) - log_alpha[:, None])

    result = np.exp(-_search(family, theta, displacements, log_alpha, log_loss))
    result = np.where(_is_point(displacements), alpha, result)
    return np.where(alpha <= 0, 0.0, np.clip(result, 0.0, alpha))


def tilt_lower_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Return a lower bound of a mean on tiles from a lower bound at a point: 1 - U applied to 1 - level."""
    return 1 - tilt_bound(family, theta, displacements, 1 - np.asarray(level, float))


def _checked_level(level: ArrayLike, n_tiles: int) -> FloatArray:
    levels = np.broadcast_to(np.asarray(level, float), (n_tiles,))
    if not ((levels >= 0) & (levels <= 1)).all():
        raise InvalidInputError(f"A mean of values in [0, 1] must be in [0, 1]; got {level}.")
    return levels


class _Tilt:
    """The cost of moving along the vertices of a slice of tiles, as a function of t = log(q - 1)."""

    def __init__(self, family: Family, theta: FloatArray, displacements: FloatArray) -> None:
        self.family = family
        self.theta = theta[:, None, :]
        self.displacements = displacements
        self.limit = self._highest()
        self.here = family.cumulant(self.theta, displacements)
        self.scale = np.abs(family.log_partition(theta))[:, None] + np.abs(self.here) + 1.0

    def log_cost(self, log_excess: FloatArray) -> FloatArray:
        """Return K(q v)/q - K(v), rounded upwards, shape (tiles, vertices)."""
        q = (1 + np.exp(log_excess))[:, None]
        beyond = self.family.cumulant(self.theta, q[:, :, None] * self.displacements) / q
        cost = beyond - self.here + _ULPS * (self.scale + np.abs(beyond))
        return np.where(np.isnan(cost), np.inf, cost)  # two infinities: nothing is known

    def _highest(self) -> FloatArray:
        """Return the largest t for which theta + q v stays in the natural parameter space, shape (tiles,)."""
        lower, upper = self.family.domain
        room = np.where(self.displacements > 0, upper - self.theta, lower - self.theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.displacements == 0, np.inf, room / self.displacements)
        excess = ratio.min(axis=(1, 2)) * _INSIDE - 1
        if not (excess > 0).all():
            tile = int(np.argmin(excess))
            raise DomainError(
                f"Tiles must lie inside the natural parameter space of {self.family} ({self.family.coordinates}: "
                f"{lower.tolist()} to {upper.tolist()}, ends excluded); the tile around "
                f"theta={self.theta[tile, 0].tolist()} does not. Use smaller tiles or a smaller region."
            )
        return np.minimum(np.log(excess), _HIGHEST)


def _is_point(displacements: FloatArray) -> BoolArray:
    return (displacements == 0).all(axis=(1, 2))


def _search(
    family: Family,
    theta: FloatArray,
    displacements: FloatArray,
    log_level: FloatArray,
    objective: Callable[[_Tilt, FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Minimise over q the largest over vertices of an objective that is quasi-convex in q."""
    best = np.empty(len(theta))
    for begin in range(0, len(theta), _SLICE):
        part = slice(begin, begin + _SLICE)
        with np.errstate(over="ignore", invalid="ignore"):  # extreme tiles get the trivial bound
            tilt = _Tilt(family, theta[part], displacements[part])
            level = log_level[part]
            high = tilt.limit
            best[part] = _golden_section(
                lambda t, tilt=tilt, level=level: objective(tilt, level, t).max(axis=1),  # type: ignore[misc]
                np.minimum(_LOWEST, high - 8.0),
                high,
            )
    return best


def _golden_section(function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the least value met by a golden-section search, element by element.

    Equal values (two infinities, where a tilt overflows) move the search towards `low`.
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    best = np.minimum(at_left, at_right)
    for _ in range(_ITERATIONS):
        down = at_left <= at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        fresh = np.where(down, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = function(fresh)
        left, right = np.where(down, fresh, right), np.where(down, left, fresh)
        at_left, at_right = np.where(down, value, at_right), np.where(down, at_left, value)
        best = np.minimum(best, value)
    return best
