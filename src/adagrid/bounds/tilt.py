"""The tilt bound: Hölder's inequality for a change of parameter in an exponential family.

For a function of the data with values in [0, 1] whose mean at theta is a, for a displacement v and every q >= 1,

    E_(theta+v) <= a^(1 - 1/q) * exp( K(q v)/q - K(v) ),     K(v) = A(theta + v) - A(theta)

(Sklar, Yang, Thompson, arXiv 2212.10042). On a tile the bound is the least over q of the worst over v. Every q gives a
valid bound, so an inexact search over q costs tightness and never validity. K(q v)/q is convex in 1/q, so a
one-dimensional search suffices. The search must not miss the worst v:

- On any line through the origin the bound grows with |v|. So if A is a sum of functions of one parameter each, the
  worst v of a box is a vertex, for every q.
- Otherwise it need not be: with A = log(1 + exp(x)) + log(1 + exp(y)), theta = 0 and q = 2 the bound is larger at
  v = (3, 3) than at (2, 4) and (4, 2). It is a vertex where K(q v)/q - K(v) is convex in v, which families prove up to
  some q. If larger q would be better, K(v) is replaced by the smaller -K(-s v)/s, with which the bound is convex in v
  for every q. For small s, -K(-s v)/s is nearly the tangent of K at 0. The bound grows by a factor of about
  exp(|v|^2 / 2), v in standard errors.

All computations use float64 and logarithms. Results move to the safe side by more than their rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np

from adagrid._typing import ArrayLike, BoolArray, FloatArray
from adagrid.bounds._search import golden_section
from adagrid.errors import DomainError, InvalidInputError
from adagrid.families import Family

# Search range for t = log(q - 1).
_LOWEST, _HIGHEST = -8.0, 22.0
# q stays this share inside the largest value that the natural parameter space allows.
_INSIDE = 1 - 1e-6
# Units in the last place by which results move to the safe side, and share by which displacements do. K(s v)/s never
# falls as s grows. So the code stretches q v, and shrinks v, whose K is subtracted.
_ULPS, _STRETCH = 32 * np.finfo(float).eps, 16 * np.finfo(float).eps
# The s of the tangent.
_TANGENT = 2.0**-10
# Tiles per slice, so that the arrays of a search fit in cache.
_SLICE = 4096


def tilt_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Bound a mean on tiles, from an upper bound at one point each.

    Args:
        family: distribution of the data.
        theta: the points, shape (tiles, dim).
        displacements: vertices of boxes minus the point, shape (tiles, vertices, dim).
        level: a in [0, 1], (an upper bound of) the mean at the point; shape (tiles,) or a number.

    Returns:
        Upper bounds in [level, 1], shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    a = checked_level(level, len(theta))
    with np.errstate(divide="ignore"):
        log_a = np.log(a)

    def log_bound(tilt: _Tilt, log_a: FloatArray, log_excess: FloatArray) -> FloatArray:
        share = 1 / (1 + np.exp(-log_excess))  # 1 - 1/q
        return share[:, None] * log_a[:, None] + tilt.log_cost(log_excess)

    result = np.exp(np.minimum(_search(family, theta, displacements, log_a, log_bound), 0.0))
    result = np.where(is_point(displacements), a, result)
    return np.where(a <= 0, 0.0, np.clip(result, a, 1.0))


def inverse_tilt_bound(family: Family, theta: FloatArray, displacements: FloatArray, level: ArrayLike) -> FloatArray:
    """Return the largest mean at a point that keeps `tilt_bound` within a level.

    It is (level * exp(K(v) - K(q v)/q))^(q / (q - 1)), the largest over q of the least over vertices.

    Args:
        family: distribution of the data.
        theta: the points, shape (tiles, dim).
        displacements: vertices of boxes minus the point, shape (tiles, vertices, dim).
        level: alpha in [0, 1], shape (tiles,) or a number.

    Returns:
        Levels in [0, level], shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    alpha = checked_level(level, len(theta))
    with np.errstate(divide="ignore"):
        log_alpha = np.log(alpha)

    def log_loss(tilt: _Tilt, log_alpha: FloatArray, log_excess: FloatArray) -> FloatArray:
        power = 1 + np.exp(-log_excess)  # q / (q - 1)
        return power[:, None] * (tilt.log_cost(log_excess) - log_alpha[:, None])

    result = np.exp(-_search(family, theta, displacements, log_alpha, log_loss))
    result = np.where(is_point(displacements), alpha, result)
    return np.where(alpha <= 0, 0.0, np.clip(result, 0.0, alpha))


def checked_level(level: ArrayLike, n_tiles: int) -> FloatArray:
    """Return a level for each tile.

    Raises:
        InvalidInputError: if a level is outside [0, 1].
    """
    levels = np.broadcast_to(np.asarray(level, float), (n_tiles,))
    if not ((levels >= 0) & (levels <= 1)).all():
        raise InvalidInputError(f"A mean of values in [0, 1] must be in [0, 1]; got {level}.")
    return levels


def largest_excess(family: Family, theta: FloatArray, displacements: FloatArray) -> FloatArray:
    """Return the largest q - 1 with theta + q v inside the space, shape (tiles,).

    Raises:
        DomainError: if a vertex is outside the natural parameter space.
    """
    reach = family.reach(theta[:, None, :], displacements)
    excess = reach.min(axis=1) * _INSIDE - 1
    if (excess > 0).all():
        return excess
    tile = int(np.argmin(excess))
    point, displacement = theta[tile], displacements[tile, int(np.argmin(reach[tile]))]
    raise DomainError(
        f"Tiles must lie inside the natural parameter space of {family} ({family.coordinates}), more "
        "than a millionth of their size from its ends: "
        f"{family.border(point, displacement)} at a vertex of the tile around theta={point.tolist()}. "
        "Use smaller tiles or a smaller region."
    )


class _Tilt:
    """The cost of moving along the vertices of a slice of tiles, as a function of t = log(q - 1).

    `limit` is the largest t for which theta + q v stays in the natural parameter space. `proven` is the largest t for
    which the worst v of a tile is provably a vertex, or minus infinity. Both have shape (tiles,).
    """

    def __init__(self, family: Family, theta: FloatArray, displacements: FloatArray) -> None:
        self.family = family
        self.theta = theta[:, None, :]
        self.displacements = displacements
        self.limit = np.minimum(np.log(largest_excess(family, theta, displacements)), _HIGHEST)
        self.proven = self._proven()
        self.here = family.cumulant(self.theta, displacements * (1 - _STRETCH))
        self.scale = np.abs(family.log_partition(theta))[:, None] + np.abs(self.here) + 1.0

    def log_cost(self, log_excess: FloatArray) -> FloatArray:
        """Return K(q v)/q - K(v), rounded upwards, shape (tiles, vertices)."""
        q = (1 + np.exp(log_excess))[:, None]
        beyond = self.family.cumulant(self.theta, (q * (1 + _STRETCH))[:, :, None] * self.displacements) / q
        cost = beyond - self.here + _ULPS * (self.scale + np.abs(beyond))
        return np.where(np.isnan(cost), np.inf, cost)  # two infinities: no information

    def by_tangent(self, tiles: BoolArray) -> _Tilt:
        """Return the selected tiles' costs with -K(-s v)/s for K(v).

        The worst v of these costs are vertices for every t.
        """
        tilt = copy(self)
        tilt.theta, tilt.displacements = self.theta[tiles], self.displacements[tiles]
        tilt.limit = tilt.proven = self.limit[tiles]
        back = np.minimum(_TANGENT, self.family.reach(tilt.theta, -tilt.displacements).min(axis=1) / 2)[:, None]
        behind = (-back * (1 + _STRETCH))[:, :, None] * tilt.displacements
        tilt.here = -self.family.cumulant(tilt.theta, behind) / back
        tilt.scale = np.abs(self.family.log_partition(tilt.theta)) / back + np.abs(tilt.here) + 1.0
        return tilt

    def _proven(self) -> FloatArray:
        if self.family.separable or self.displacements.shape[1] == 1:
            return self.limit
        excess = self.family.convex_up_to(self.theta, self.displacements) * _INSIDE - 1
        proven = np.minimum(np.log(np.maximum(excess, 1e-300)), self.limit)
        return np.where(
            proven < _LOWEST, -np.inf, proven
        )  # proofs of families start at t = -16, the least t of a search


def is_point(displacements: FloatArray) -> BoolArray:
    """Return which tiles are points."""
    return (displacements == 0).all(axis=(1, 2))


def _search(
    family: Family,
    theta: FloatArray,
    displacements: FloatArray,
    log_level: FloatArray,
    objective: Callable[[_Tilt, FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Minimise over q the largest objective over v; it is quasi-convex in q."""
    best = np.empty(len(theta))
    for begin in range(0, len(theta), _SLICE):
        part = slice(begin, begin + _SLICE)
        with np.errstate(over="ignore", invalid="ignore"):  # extreme tiles get the trivial bound
            tilt, level = _Tilt(family, theta[part], displacements[part]), log_level[part]
            found, at_end = _least(tilt, level, objective)
            more = at_end & (tilt.proven < tilt.limit)
            if more.any():
                other, _ = _least(tilt.by_tangent(more), level[more], objective)
                found[more] = np.minimum(found[more], other)
            best[part] = found
    return best


def _least(
    tilt: _Tilt, log_level: FloatArray, objective: Callable[[_Tilt, FloatArray, FloatArray], FloatArray]
) -> tuple[FloatArray, BoolArray]:
    """Minimise the largest objective at the vertices over proven tilts.

    Returns:
        The least values, infinite where no tilt is proven, and whether larger tilts would be better.
    """
    nothing = np.isneginf(tilt.proven)
    high = np.where(nothing, tilt.limit, tilt.proven)
    low = np.minimum(_LOWEST, high - 8.0)
    value, _, at_end = golden_section(lambda t: objective(tilt, log_level, t).max(axis=1), low, high)
    return np.where(nothing, np.inf, value), at_end | nothing
