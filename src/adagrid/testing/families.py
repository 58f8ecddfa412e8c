"""The contract of a family: what the bounds rely on, checked with pytest.

Needs pytest; knows of no particular family.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeAlias

import jax
import numpy as np
import pytest

from adagrid._programs import Program
from adagrid._typing import FloatArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound, tilt_lower_bound
from adagrid.errors import DomainError, ModelError
from adagrid.families import Family
from adagrid.grid import cartesian_grid
from adagrid.grid.points import Points
from adagrid.refutation import Inquiry
from adagrid.refutation.bet import DOUBTED
from adagrid.testing._tiles import (
    axis_reach,
    boxes,
    gradients,
    half_widths,
    largest_half_widths,
    least_and_proven,
    least_objective,
    log_bound,
    log_loss,
    rounding_of,
    tilt_cost,
)
from adagrid.testing._trials import Trials, assert_law, same_programs

# Sizes of tiles, as the information K(h) + K(-h) between the two ends of each side.
_INFORMATION = (1e-6, 1e-2, 0.3, 3.0)
# The region in which a family is tested against its own data, some 10 standard errors wide.
_WIDE = 30.0
_LEVELS = (1e-4, 0.025, 0.3, 0.9)
_RELATIVE = 1e-9

Draw: TypeAlias = Callable[[np.random.Generator, FloatArray, int], FloatArray]
"""Draws sufficient statistics: generator, parameters of shape (dim,) and a number to an array (number, dim)."""


def _tiles(family: Family, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centres, half-widths and levels: every point with every size of a tile and every level."""
    radius = np.concatenate([np.tile(half_widths(family, theta, size), (len(_LEVELS), 1)) for size in _INFORMATION])
    at = np.tile(theta, (len(_INFORMATION) * len(_LEVELS), 1))
    return at, radius, np.tile(np.repeat(_LEVELS, len(theta)), len(_INFORMATION))


@cache
def _trials(family: Family) -> Trials:
    """Trace a family once for all its tests."""
    return Trials(family.draw, family.data, family.sufficient, family.dim, double=False)


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

    Choose points that are ordinary for the family and points near what it must still bear. Override `draw` as well:
    nothing else can tell that the family is the distribution of the data.
    """

    @pytest.fixture
    def family(self) -> Family:
        """Return the family; overridden in the subclass."""
        raise NotImplementedError("Override the fixture `family` to return the family under test.")

    @pytest.fixture
    def theta(self) -> FloatArray:
        """Return parameters inside the domain, shape (points, dim); overridden in the subclass."""
        raise NotImplementedError("Override the fixture `theta` to return points of shape (points, dim).")

    @pytest.fixture
    def draw(self) -> Draw | None:
        """Return a function that draws sufficient statistics T, such that theta . T is the density's exponent.

        It takes a NumPy generator, parameters of shape (dim,) and a number, and returns an array (number, dim).
        None, the default, leaves out the test that needs it.
        """
        return None

    @pytest.fixture
    def trials(self, family: Family) -> Trials:
        """Return what simulates data that the family draws; tests that need it are left out if it draws none."""
        try:
            return _trials(family)
        except ModelError:
            pytest.skip("this family does not draw its data")

    # The log-partition and its differences

    def test_gradient_of_log_partition_is_the_mean(self, family: Family, theta: FloatArray, draw: Draw | None) -> None:
        """The gradient of A is the mean of the sufficient statistic, within 6 standard errors of a simulation."""
        if draw is None:
            pytest.skip("no sufficient statistics are drawn: override `draw`")
        generator, count = np.random.default_rng(0), 20_000
        for point, gradient in zip(theta, gradients(family, theta), strict=True):
            drawn = draw(generator, point, count)
            assert drawn.shape == (count, family.dim)
            error = drawn.std(axis=0) / np.sqrt(count)
            # where almost all draws are alike, chance says how far off they may be: three draws of another value
            alike = 3 / count * np.abs(drawn - drawn.mean(axis=0)).max(axis=0) + 1e-9 * (1 + np.abs(gradient))
            assert (np.abs(drawn.mean(axis=0) - gradient) <= 6 * error + alike).all()

    def test_methods_take_jax_arrays(self, family: Family, theta: FloatArray) -> None:
        """Compiled by JAX, A and K are the same, and the gradient of A lies between the secants on its two sides."""
        radius = half_widths(family, theta, 0.3)
        traced: Any = family
        both = jax.vmap(lambda point, way: (traced.log_partition(point), traced.cumulant(point, way)))
        value, growth = map(np.asarray, Program(both, theta, radius / 2, double=True)(theta, radius / 2))
        np.testing.assert_allclose(value, family.log_partition(theta), rtol=1e-12)
        expected = family.cumulant(theta, radius / 2)
        assert (np.abs(growth - expected) <= rounding_of(family, theta) + 1e-12 * np.abs(expected)).all()
        gradient = gradients(family, theta)
        for step in (1e-3 * radius, radius):
            along = step[:, :, None] * np.eye(family.dim)
            above = family.cumulant(theta[:, None, :], along) / step
            below = -family.cumulant(theta[:, None, :], -along) / step
            slack = rounding_of(family, theta)[:, None] / step + 1e-9 * np.abs(gradient)
            assert ((gradient <= above + slack) & (gradient >= below - slack)).all()

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

    def test_reach_is_the_way_to_the_border(self, family: Family, theta: FloatArray) -> None:
        """Along random lines points are in the domain up to `reach` and not beyond; it is 0 from outside."""
        generator = np.random.default_rng(3)
        directions = np.concatenate([np.eye(family.dim), -np.eye(family.dim), generator.normal(size=(16, family.dim))])
        for point in theta:
            ways = directions * (1 + np.abs(point))
            reach = family.reach(point, ways)
            assert reach.shape == (len(ways),)
            assert (reach > 0).all()
            inside = np.where(np.isfinite(reach), reach * (1 - 1e-9), 1e6)
            assert family.contains(point + inside[:, None] * ways).all()
            for way, end in zip(ways[np.isfinite(reach)], reach[np.isfinite(reach)], strict=True):
                for share in (1 + 1e-9, 1.5, 1e6):
                    outside = point + share * end * way
                    assert not family.contains(outside)
                    assert family.reach(outside, -way) == 0
                    assert family.border(point, share * end * way).strip()
                    assert family.border(outside, np.zeros_like(way)).strip()

    def test_log_partition_is_finite_in_the_domain(self, family: Family, theta: FloatArray) -> None:
        """A is a finite float64 at the points and all over moderate tiles around them."""
        for information in _INFORMATION:
            corners = theta[:, None, :] + boxes(half_widths(family, theta, information))
            for points in (theta, corners):
                value = family.log_partition(points)
                assert value.shape == points.shape[:-1]
                assert value.dtype == np.float64
                assert np.isfinite(value).all()

    def test_methods_broadcast_over_leading_axes(self, family: Family, theta: FloatArray) -> None:
        """Many points at once give what they give one by one."""
        displacements = boxes(half_widths(family, theta, 0.3))
        together = family.cumulant(theta[:, None, :], displacements)
        assert together.shape == displacements.shape[:-1]
        for i, point in enumerate(theta):
            np.testing.assert_allclose(family.log_partition(theta)[i], family.log_partition(point), rtol=1e-13)
            for j, displacement in enumerate(displacements[i]):
                alone = family.cumulant(point, displacement)
                np.testing.assert_allclose(together[i, j], alone, rtol=1e-12, atol=float(rounding_of(family, point)))

    def test_cumulant_is_a_difference_of_log_partitions(self, family: Family, theta: FloatArray) -> None:
        """K(v) = A(theta + v) - A(theta), up to the cancellation of the right-hand side."""
        for information in _INFORMATION:
            displacements = boxes(half_widths(family, theta, information))
            here, there = family.log_partition(theta)[:, None], family.log_partition(theta[:, None] + displacements)
            value = family.cumulant(theta[:, None, :], displacements)
            slope = np.abs(there - here) / np.abs(displacements).max(axis=2)
            moved = slope * np.abs(theta).max(axis=1)[:, None]  # theta + v is rounded before A sees it
            tolerance = 64 * np.finfo(float).eps * (np.abs(here) + np.abs(there) + moved + 1)
            assert (np.abs(value - (there - here)) <= tolerance).all()

    def test_cumulant_is_zero_without_displacement(self, family: Family, theta: FloatArray) -> None:
        """K(0) = 0."""
        assert (np.abs(family.cumulant(theta, np.zeros_like(theta))) <= rounding_of(family, theta)).all()

    def test_cumulant_is_convex(self, family: Family, theta: FloatArray) -> None:
        """K((v + w) / 2) <= (K(v) + K(w)) / 2 for random displacements."""
        generator = np.random.default_rng(1)
        for information in _INFORMATION[1:]:
            radius = half_widths(family, theta, information)[:, None, :]
            first, second = generator.uniform(-1, 1, (2, len(theta), 64, family.dim)) * radius
            at = theta[:, None, :]
            ends = [family.cumulant(at, first), family.cumulant(at, second)]
            middle = family.cumulant(at, (first + second) / 2)
            slack = rounding_of(family, theta)[:, None] + 1e-12 * (np.abs(ends[0]) + np.abs(ends[1]))
            assert (middle <= (ends[0] + ends[1]) / 2 + slack).all()

    def test_gradient_of_log_partition_is_monotone(self, family: Family, theta: FloatArray) -> None:
        """Along random lines the secant slopes of A never fall: A is convex."""
        generator = np.random.default_rng(2)
        place = np.linspace(-1, 1, 9)[:, None]
        for information in _INFORMATION[1:]:
            for point, radius in zip(theta, half_widths(family, theta, information), strict=True):
                for direction in generator.uniform(-1, 1, (16, family.dim)) * radius:
                    value = family.log_partition(point + place * direction)
                    assert (np.diff(value, 2) >= -1e-12 * (1 + np.abs(value).max())).all()

    def test_separable_families_are_sums(self, family: Family, theta: FloatArray) -> None:
        """If `separable`, K(v) is the sum of K along the axes: a box has its worst parameters at a vertex."""
        if not family.separable:
            pytest.skip("this family does not claim to be separable")
        for information in _INFORMATION:
            displacements = boxes(half_widths(family, theta, information))
            along = displacements[:, :, :, None] * np.eye(family.dim)
            parts = family.cumulant(theta[:, None, None, :], along)
            whole = family.cumulant(theta[:, None, :], displacements)
            slack = 64 * np.finfo(float).eps * np.abs(parts).sum(axis=2) + 8 * rounding_of(family, theta)[:, None]
            assert (np.abs(whole - parts.sum(axis=2)) <= slack).all()

    def test_convexity_that_is_claimed_holds(self, family: Family, theta: FloatArray) -> None:
        """K(q v)/q - K(v) is convex in v on tiles for q up to `convex_up_to`, which is no larger for larger tiles."""
        generator, claimed = np.random.default_rng(4), []
        for information in _INFORMATION:
            vertices = boxes(half_widths(family, theta, information))
            reach = family.reach(theta[:, None, :], vertices).min(axis=1)
            claimed.append(family.convex_up_to(theta[:, None, :], vertices))
            assert claimed[-1].shape == (len(theta),)
            highest = np.minimum(np.minimum(claimed[-1], 0.999 * reach), 1e6) - 1
            for i in np.flatnonzero(highest > np.exp(-16)):
                weights = generator.dirichlet(np.full(vertices.shape[1], 0.2), (2, 200))
                first, second = weights @ vertices[i]
                for q in 1 + np.geomspace(np.exp(-16), highest[i], 9):
                    values = [tilt_cost(family, theta[i], v, q) for v in (first, second, (first + second) / 2)]
                    here = np.abs(family.cumulant(theta[i], vertices[i])).max()
                    there = np.abs(family.cumulant(theta[i], 0.999999 * q * vertices[i])).max() / q
                    slack = 64 * np.finfo(float).eps * (here + there) + 4 * rounding_of(family, theta[i])
                    assert (values[2] <= (values[0] + values[1]) / 2 + slack).all()
        for smaller, larger in itertools.pairwise(claimed):
            assert (larger <= smaller * (1 + _RELATIVE)).all()

    def test_no_parameters_of_a_tile_are_forgotten(self, family: Family, theta: FloatArray) -> None:
        """For some q the bound of a tile is the worst at random points of it, vertices or not: the bound has this q."""
        generator = np.random.default_rng(5)
        for information, level in itertools.product(_INFORMATION[1:], _LEVELS[:3]):
            vertices = boxes(half_widths(family, theta, information))
            bound = tilt_bound(family, theta, vertices, level)
            for i, point in enumerate(theta):
                some = generator.dirichlet(np.full(vertices.shape[1], 0.3), 40) @ vertices[i]
                places = np.concatenate([vertices[i], some])
                least = np.exp(least_objective(family, point, places, partial(log_bound, level)))
                assert bound[i] >= min(1.0, least) * (1 - _RELATIVE)

    # The data that it draws

    def test_data_have_the_moments_of_the_log_partition(
        self, family: Family, theta: FloatArray, trials: Trials
    ) -> None:
        """In single precision, T of the data has the gradient of A as its mean, the Hessian as its covariance."""
        assert_law(trials, family, theta)

    def test_data_are_pure(self, theta: FloatArray, trials: Trials) -> None:
        """Data are a function of the draw and the parameters: no state, nothing of other trials."""
        assert same_programs(trials)
        index = np.arange(16)
        points = theta[index % len(theta)]
        together = trials(np.full(16, 2), index, points)
        backwards = trials(np.full(16, 2), index[::-1], points[::-1])[::-1]
        np.testing.assert_array_equal(together, backwards)

    def test_no_function_of_the_data_refutes_the_family(
        self, family: Family, theta: FloatArray, trials: Trials
    ) -> None:
        """The bet against the family does not win where the family draws."""
        centre, radius = theta[0], half_widths(family, theta[:1], _WIDE)[0]
        tiles = cartesian_grid((centre - radius).tolist(), (centre + radius).tolist(), n=1).tiles
        weight = np.cos(np.arange(family.dim)) * half_widths(family, theta[:1], _INFORMATION[0])[0]  # parts alike

        def ask(points: Points) -> FloatArray:
            n = int(points.n_sims[0])
            seed, trial = np.repeat(points.stream, n), points.begin[:, None] + np.arange(n)
            return (trials(seed, trial.ravel(), np.repeat(points.theta, n, axis=0)) @ weight).reshape(-1, n)

        inquiry = Inquiry(family, "single", n_lines=8, n_sims=512, seed=0)
        found = list(inquiry.bet(inquiry.lines(tiles, ask), ask))
        assert found
        assert all(evidence.log_value < DOUBTED for evidence in found)

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
        every = np.repeat(levels, len(theta))
        for information in _INFORMATION:
            displacements = np.tile(boxes(half_widths(family, theta, information)), (len(levels), 1, 1))
            points = np.tile(theta, (len(levels), 1))
            upper, inverse, lower = (
                bound(family, points, displacements, every).reshape(len(levels), -1)
                for bound in (tilt_bound, inverse_tilt_bound, tilt_lower_bound)
            )
            for bound in (upper, inverse, lower):
                assert (np.diff(bound, axis=0) >= -_RELATIVE * bound[1:]).all()
                assert ((bound >= 0) & (bound <= 1)).all()
            assert (upper >= levels[:, None]).all()
            assert (inverse <= levels[:, None]).all()
            assert (lower <= levels[:, None] + np.finfo(float).eps).all()

    def test_inverse_undoes_the_tilt_bound(self, family: Family, theta: FloatArray) -> None:
        """inverse(U(a)) = a, and U(inverse(alpha)) = alpha, wherever the bound is below one."""
        theta, radius, level = _tiles(family, theta)
        displacements = boxes(radius)
        bound = tilt_bound(family, theta, displacements, level)
        back = inverse_tilt_bound(family, theta, displacements, bound)
        assert (back <= level * (1 + _RELATIVE))[bound < 1].all()
        assert (back >= level * (1 - _RELATIVE))[bound < 1].all()
        point = inverse_tilt_bound(family, theta, displacements, level)
        there = tilt_bound(family, theta, displacements, point)
        np.testing.assert_allclose(there, level, rtol=_RELATIVE)

    def test_bounds_widen_as_the_tile_grows(self, family: Family, theta: FloatArray) -> None:
        """A tile that contains another has the larger upper bound and the smaller inverted bound."""
        theta, radius, level = _tiles(family, theta)
        wider, larger = radius.copy(), 1.2 * radius
        wider[:, 0] *= 1.1
        upper = [tilt_bound(family, theta, boxes(r), level) for r in (radius, wider, larger)]
        inverse = [inverse_tilt_bound(family, theta, boxes(r), level) for r in (radius, wider, larger)]
        assert (np.diff(upper, axis=0) >= -_RELATIVE).all()
        assert (np.diff(inverse, axis=0) <= _RELATIVE * level).all()

    def test_bounds_of_extreme_tiles_are_probabilities(self, family: Family, theta: FloatArray) -> None:
        """From tiles of no size to the largest on which A can be computed, bounds are finite and in [0, 1]."""
        levels = (0.0, 1e-300, *_LEVELS, 1 - 1e-15, 1.0)
        for radius in (
            np.full_like(theta, 1e-12),
            half_widths(family, theta, 1e-12),
            largest_half_widths(family, theta),
        ):
            level, at = np.repeat(levels, len(theta)), np.tile(theta, (len(levels), 1))
            displacements = boxes(np.tile(radius, (len(levels), 1)))
            upper = tilt_bound(family, at, displacements, level)
            inverse = inverse_tilt_bound(family, at, displacements, level)
            lower = tilt_lower_bound(family, at, displacements, level)
            for bound in (upper, inverse, lower):
                assert (np.isfinite(bound) & (bound >= 0) & (bound <= 1)).all()
            assert (upper >= level).all()
            assert (inverse <= level).all()

    def test_tilt_bound_attains_the_optimum(self, family: Family, theta: FloatArray) -> None:
        """The bound is the least over q, found by brute force: never below it, and within 1e-6 of it where proven."""
        theta, radius, levels = _tiles(family, theta)
        bounds = tilt_bound(family, theta, boxes(radius), levels)
        for point, displacements, level, bound in zip(theta, boxes(radius), levels, bounds, strict=True):
            least, proven = least_and_proven(family, point, displacements, partial(log_bound, level))
            assert min(1.0, np.exp(least)) * (1 - _RELATIVE) <= bound <= min(1.0, np.exp(proven)) + 1e-6

    def test_inverse_tilt_bound_attains_the_optimum(self, family: Family, theta: FloatArray) -> None:
        """The inverted bound is the largest over q: never above what brute force finds, within 1e-6 where proven."""
        theta, radius, levels = _tiles(family, theta)
        bounds = inverse_tilt_bound(family, theta, boxes(radius), levels)
        for point, displacements, level, bound in zip(theta, boxes(radius), levels, bounds, strict=True):
            least, proven = least_and_proven(family, point, displacements, partial(log_loss, level))
            assert np.exp(-proven) - 1e-6 <= bound <= np.exp(-least) * (1 + _RELATIVE)

    def test_tiles_that_leave_the_domain_are_refused(self, family: Family, theta: FloatArray) -> None:
        """A vertex at or beyond a finite end of the domain raises DomainError, in both directions."""
        room = axis_reach(family, theta)
        if not np.isfinite(room).any():
            pytest.skip("every parameter of this family may take any value")
        safe = half_widths(family, theta, 1e-2)
        for i in np.flatnonzero(np.isfinite(room).all(axis=0)):
            for share in (1.0, 1.01, 1e6):
                radius = safe.copy()
                radius[:, i] = share * room[:, i]
                for bound in (tilt_bound, inverse_tilt_bound, tilt_lower_bound):
                    with pytest.raises(DomainError):
                        bound(family, theta, boxes(radius), 0.025)
