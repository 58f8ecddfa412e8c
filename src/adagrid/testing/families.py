"""The contract of a family: what the bounds rely on, checked with pytest.

Needs pytest; knows of no particular family.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from adagrid._typing import FloatArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound, tilt_lower_bound
from adagrid.errors import DomainError
from adagrid.families import Family

# Sizes of tiles, as the information K(h) + K(-h) between the two ends of each side.
_INFORMATION = (1e-6, 1e-2, 0.3, 3.0)
_LEVELS = (1e-4, 0.025, 0.3, 0.9)
# The share of the way to the end of the domain at which tiles stop.
_ROOM = 0.45
_RELATIVE = 1e-9


class FamilyContract:
    """Laws that every family must obey for the bounds to be valid and tight.

    Write a subclass whose name starts with `Test`, with two fixtures:

        class TestMyFamily(FamilyContract):
            @pytest.fixture
            def family(self):
                return MyFamily()

            @pytest.fixture
            def theta(self):
                return np.array([[0.0], [1.5]])

    Choose points that are ordinary for the family and points near what it must still bear.
    """

    @pytest.fixture
    def family(self) -> Family:
        """Return the family; overridden in the subclass."""
        raise NotImplementedError("Override the fixture `family` to return the family under test.")

    @pytest.fixture
    def theta(self) -> FloatArray:
        """Return parameters inside the domain, shape (points, dim); overridden in the subclass."""
        raise NotImplementedError("Override the fixture `theta` to return points of shape (points, dim).")

    # The log-partition and its differences

    def test_domain_has_one_interval_per_parameter(self, family: Family, theta: FloatArray) -> None:
        """The domain is two arrays of shape (dim,), lower below upper, and contains the points."""
        lower, upper = family.domain
        assert theta.shape == (len(theta), family.dim)
        assert lower.shape == upper.shape == (family.dim,)
        assert (lower < upper).all()
        assert np.asarray(family.contains(theta)).tolist() == [True] * len(theta)
        assert family.coordinates.strip()

    def test_ends_of_the_domain_are_outside(self, family: Family, theta: FloatArray) -> None:
        """`contains` is false at and beyond every finite end of the open domain, and false for NaN."""
        for end, beyond in zip(family.domain, (-1.0, 1.0), strict=True):
            for i in np.flatnonzero(np.isfinite(end)):
                for value in (end[i], end[i] + beyond):
                    point = theta[0].copy()
                    point[i] = value
                    assert not family.contains(point)
        assert not family.contains(np.full(family.dim, np.nan))

    def test_log_partition_is_finite_in_the_domain(self, family: Family, theta: FloatArray) -> None:
        """A is a finite float64 at the points and all over moderate tiles around them."""
        for information in _INFORMATION:
            corners = theta[:, None, :] + _box(_radius(family, theta, information))
            for points in (theta, corners):
                value = family.log_partition(points)
                assert value.shape == points.shape[:-1]
                assert value.dtype == np.float64
                assert np.isfinite(value).all()

    def test_methods_broadcast_over_leading_axes(self, family: Family, theta: FloatArray) -> None:
        """Many points at once give what they give one by one."""
        displacements = _box(_radius(family, theta, 0.3))
        together = family.cumulant(theta[:, None, :], displacements)
        assert together.shape == displacements.shape[:-1]
        for i, point in enumerate(theta):
            np.testing.assert_allclose(family.log_partition(theta)[i], family.log_partition(point), rtol=1e-13)
            for j, displacement in enumerate(displacements[i]):
                alone = family.cumulant(point, displacement)
                np.testing.assert_allclose(together[i, j], alone, rtol=1e-12, atol=float(_rounding(family, point)))

    def test_cumulant_is_a_difference_of_log_partitions(self, family: Family, theta: FloatArray) -> None:
        """K(v) = A(theta + v) - A(theta), up to the cancellation of the right-hand side."""
        for information in _INFORMATION:
            displacements = _box(_radius(family, theta, information))
            here, there = family.log_partition(theta)[:, None], family.log_partition(theta[:, None] + displacements)
            value = family.cumulant(theta[:, None, :], displacements)
            slope = np.abs(there - here) / np.abs(displacements).max(axis=2)
            moved = slope * np.abs(theta).max(axis=1)[:, None]  # theta + v is rounded before A sees it
            tolerance = 64 * np.finfo(float).eps * (np.abs(here) + np.abs(there) + moved + 1)
            assert (np.abs(value - (there - here)) <= tolerance).all()

    def test_cumulant_is_zero_without_displacement(self, family: Family, theta: FloatArray) -> None:
        """K(0) = 0."""
        assert (np.abs(family.cumulant(theta, np.zeros_like(theta))) <= _rounding(family, theta)).all()

    def test_cumulant_is_convex(self, family: Family, theta: FloatArray) -> None:
        """K((v + w) / 2) <= (K(v) + K(w)) / 2 for random displacements."""
        generator = np.random.default_rng(1)
        for information in _INFORMATION[1:]:
            radius = _radius(family, theta, information)[:, None, :]
            first, second = generator.uniform(-1, 1, (2, len(theta), 64, family.dim)) * radius
            at = theta[:, None, :]
            ends = [family.cumulant(at, first), family.cumulant(at, second)]
            middle = family.cumulant(at, (first + second) / 2)
            slack = _rounding(family, theta)[:, None] + 1e-12 * (np.abs(ends[0]) + np.abs(ends[1]))
            assert (middle <= (ends[0] + ends[1]) / 2 + slack).all()

    def test_gradient_of_log_partition_is_monotone(self, family: Family, theta: FloatArray) -> None:
        """Along random lines the secant slopes of A never fall: A is convex."""
        generator = np.random.default_rng(2)
        place = np.linspace(-1, 1, 9)[:, None]
        for information in _INFORMATION[1:]:
            for point, radius in zip(theta, _radius(family, theta, information), strict=True):
                for direction in generator.uniform(-1, 1, (16, family.dim)) * radius:
                    value = family.log_partition(point + place * direction)
                    assert (np.diff(value, 2) >= -1e-12 * (1 + np.abs(value).max())).all()

    # The bounds that are made from it

    def test_tilt_bound_of_a_point_is_the_level(self, family: Family, theta: FloatArray) -> None:
        """Without displacement nothing is added, in either direction."""
        nowhere = np.zeros((len(theta), 2**family.dim, family.dim))
        for level in (0.0, *_LEVELS, 1.0):
            assert tilt_bound(family, theta, nowhere, level).tolist() == [level] * len(theta)
            assert inverse_tilt_bound(family, theta, nowhere, level).tolist() == [level] * len(theta)

    def test_bounds_are_monotone_in_the_level(self, family: Family, theta: FloatArray) -> None:
        """A larger level gives larger bounds: upper ones in [level, 1], lower and inverted ones in [0, level]."""
        levels = np.concatenate([[0.0], np.geomspace(1e-8, 1, 17)])
        for information in _INFORMATION:
            displacements = _box(_radius(family, theta, information))
            upper = np.array([tilt_bound(family, theta, displacements, a) for a in levels])
            inverse = np.array([inverse_tilt_bound(family, theta, displacements, a) for a in levels])
            lower = np.array([tilt_lower_bound(family, theta, displacements, a) for a in levels])
            for bound in (upper, inverse, lower):
                assert (np.diff(bound, axis=0) >= -_RELATIVE * bound[1:]).all()
                assert ((bound >= 0) & (bound <= 1)).all()
            assert (upper >= levels[:, None]).all()
            assert (inverse <= levels[:, None]).all()
            assert (lower <= levels[:, None] + np.finfo(float).eps).all()

    def test_inverse_undoes_the_tilt_bound(self, family: Family, theta: FloatArray) -> None:
        """inverse(U(a)) = a, and U(inverse(alpha)) = alpha, wherever the bound is below one."""
        for information, level in itertools.product(_INFORMATION, _LEVELS):
            displacements = _box(_radius(family, theta, information))
            bound = tilt_bound(family, theta, displacements, level)
            back = inverse_tilt_bound(family, theta, displacements, bound)
            assert (back <= level * (1 + _RELATIVE))[bound < 1].all()
            assert (back >= level * (1 - _RELATIVE))[bound < 1].all()
            point = inverse_tilt_bound(family, theta, displacements, level)
            there = tilt_bound(family, theta, displacements, point)
            np.testing.assert_allclose(there, level, rtol=_RELATIVE)

    def test_bounds_widen_as_the_tile_grows(self, family: Family, theta: FloatArray) -> None:
        """A tile that contains another has the larger upper bound and the smaller inverted bound."""
        for information, level in itertools.product(_INFORMATION, _LEVELS):
            radius = _radius(family, theta, information)
            wider, larger = radius.copy(), 1.2 * radius
            wider[:, 0] *= 1.1
            upper = [tilt_bound(family, theta, _box(r), level) for r in (radius, wider, larger)]
            inverse = [inverse_tilt_bound(family, theta, _box(r), level) for r in (radius, wider, larger)]
            assert (np.diff(upper, axis=0) >= -_RELATIVE).all()
            assert (np.diff(inverse, axis=0) <= _RELATIVE * level).all()

    def test_bounds_of_extreme_tiles_are_probabilities(self, family: Family, theta: FloatArray) -> None:
        """From tiles of no size to the largest on which A can be computed, bounds are finite and in [0, 1]."""
        for radius in (np.full_like(theta, 1e-12), _radius(family, theta, 1e-12), _largest_radius(family, theta)):
            for level in (0.0, 1e-300, *_LEVELS, 1 - 1e-15, 1.0):
                upper = tilt_bound(family, theta, _box(radius), level)
                inverse = inverse_tilt_bound(family, theta, _box(radius), level)
                lower = tilt_lower_bound(family, theta, _box(radius), level)
                for bound in (upper, inverse, lower):
                    assert (np.isfinite(bound) & (bound >= 0) & (bound <= 1)).all()
                assert (upper >= level).all()
                assert (inverse <= level).all()

    def test_tilt_bound_attains_the_optimum(self, family: Family, theta: FloatArray) -> None:
        """The bound is the least over q, found by brute force: within 1e-6, and never below it."""
        for information, level in itertools.product(_INFORMATION, _LEVELS):
            displacements = _box(_radius(family, theta, information))
            bound = tilt_bound(family, theta, displacements, level)
            for i, point in enumerate(theta):
                log_best = _least(family, point, displacements[i], partial(_log_bound, level))
                best = min(1.0, np.exp(log_best))
                assert best * (1 - _RELATIVE) <= bound[i] <= best + 1e-6

    def test_inverse_tilt_bound_attains_the_optimum(self, family: Family, theta: FloatArray) -> None:
        """The inverted bound is the largest over q, found by brute force: within 1e-6, and never above it."""
        for information, level in itertools.product(_INFORMATION, _LEVELS):
            displacements = _box(_radius(family, theta, information))
            bound = inverse_tilt_bound(family, theta, displacements, level)
            for i, point in enumerate(theta):
                log_best = _least(family, point, displacements[i], partial(_log_loss, level))
                best = np.exp(-log_best)
                assert best - 1e-6 <= bound[i] <= best * (1 + _RELATIVE)

    def test_tiles_that_leave_the_domain_are_refused(self, family: Family, theta: FloatArray) -> None:
        """A vertex at or beyond a finite end of the domain raises DomainError, in both directions."""
        lower, upper = family.domain
        if not np.isfinite([lower, upper]).any():
            pytest.skip("every parameter of this family may take any value")
        safe = _radius(family, theta, 1e-2)
        for i in range(family.dim):
            room = np.minimum(theta - lower, upper - theta)[:, i]
            for share in (1.0, 1.01, 1e6) if np.isfinite(room).all() else ():
                radius = safe.copy()
                radius[:, i] = share * room
                for bound in (tilt_bound, inverse_tilt_bound, tilt_lower_bound):
                    with pytest.raises(DomainError):
                        bound(family, theta, _box(radius), 0.025)


def _box(radius: FloatArray) -> FloatArray:
    """Return the vertices of boxes around the origin, shape (points, 2^dim, dim)."""
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=radius.shape[1])))
    return corners * radius[:, None, :]


def _rounding(family: Family, theta: FloatArray) -> FloatArray:
    """Return the rounding error that a difference of log-partitions may have."""
    return 16 * np.finfo(float).eps * (1 + np.abs(family.log_partition(theta)))


def _room(family: Family, theta: FloatArray) -> FloatArray:
    """Return how far tiles may reach in each direction: a share of the way to the domain's nearer end."""
    lower, upper = family.domain
    return _ROOM * np.minimum(theta - lower, upper - theta)


def _radius(family: Family, theta: FloatArray, information: float) -> FloatArray:
    """Return half-widths with K(h) + K(-h) = information in each direction, or the room if that is less."""
    inside, outside = np.full_like(theta, 1e-14), np.minimum(_room(family, theta), 1e9)
    for _ in range(60):
        middle = np.sqrt(inside * outside)
        enough = _information(family, theta, middle) >= information
        outside, inside = np.where(enough, middle, outside), np.where(enough, inside, middle)
    return outside


def _information(family: Family, theta: FloatArray, step: FloatArray) -> FloatArray:
    """Return K(h e_i) + K(-h e_i) for every point and direction, shape (points, dim)."""
    along = step[:, :, None] * np.eye(family.dim)
    with np.errstate(over="ignore"):
        return family.cumulant(theta[:, None, :], along) + family.cumulant(theta[:, None, :], -along)


def _largest_radius(family: Family, theta: FloatArray) -> FloatArray:
    """Return large half-widths: as far as the domain allows, 1e6 at most, and A stays far from overflow."""
    radius = np.minimum(_room(family, theta) * (0.999 / _ROOM), 1e6)
    for _ in range(200):
        with np.errstate(over="ignore", invalid="ignore"):
            value = family.log_partition(theta[:, None, :] + _box(radius))
        too_large = ~(np.abs(value).max(axis=1) < 1e100)
        if not too_large.any():
            break
        radius = np.where(too_large[:, None], radius / 2, radius)
    return radius


def _log_bound(level: float, q: FloatArray, cost: FloatArray) -> FloatArray:
    """Return log U for every q and vertex, from costs K(q v)/q - K(v)."""
    return (1 - 1 / q) * np.log(level) + cost


def _log_loss(level: float, q: FloatArray, cost: FloatArray) -> FloatArray:
    """Return -log U^-1 for every q and vertex."""
    return q / (q - 1) * (cost - np.log(level))


def _least(
    family: Family,
    theta: FloatArray,
    displacements: FloatArray,
    objective: Callable[[FloatArray, FloatArray], FloatArray],
) -> float:
    """Minimise over q the largest over vertices of objective(q, K(q v)/q - K(v)): a dense grid, then Brent.

    Args:
        family: the family.
        theta: one point, shape (dim,).
        displacements: vertices minus the point, shape (vertices, dim).
        objective: of q, shape (n, 1), and the cost, shape (n, vertices).
    """
    lower, upper = family.domain
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(displacements > 0, upper - theta, theta - lower) / np.abs(displacements)
    highest = np.log(min(float(np.nanmin(reach)) * (1 - 1e-9) - 1, 1e14))
    here = family.cumulant(theta, displacements)

    def worst(log_excess: FloatArray) -> FloatArray:
        q = (1 + np.exp(log_excess))[:, None]
        with np.errstate(over="ignore"):
            cost = family.cumulant(theta, q[:, :, None] * displacements) / q - here
        return objective(q, cost).max(axis=1)

    grid = np.linspace(-16.0, highest, 1501)
    values = worst(grid)
    at = int(np.argmin(values))
    polished = minimize_scalar(
        lambda t: float(worst(np.array([t]))[0]),
        bounds=(grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-11},
    )
    return min(float(values[at]), float(polished.fun))
