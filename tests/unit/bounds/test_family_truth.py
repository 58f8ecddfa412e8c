"""For every family bounds enclose the exact probabilities of random rejection regions, all over tiles and simplices."""

from __future__ import annotations

import itertools
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import adagrid as ada
from adagrid.bounds import (
    interpolated_bound,
    interpolated_lower_bound,
    interpolated_reach,
    inverse_tilt_bound,
    tilt_bound,
    tilt_lower_bound,
)
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.errors import DomainError
from tests.support.examples import examples
from tests.support.family_problems import PROBLEMS, Problem

seeds = st.integers(0, 2**32 - 1)


def random_tile(generator: np.random.Generator, problem: Problem):
    """Return displacements of the vertices of a random tile around theta, and of points in it, vertices included."""
    dim = len(problem.theta)
    unit = problem.unit * generator.choice([1e-3, 0.1, 0.4, 1.5])
    low, high = -unit * generator.exponential(size=dim), unit * generator.exponential(size=dim)
    vertices = np.array(list(itertools.product(*zip(low, high, strict=True))))
    vertices *= min(1.0, 0.9 * problem.family.reach(problem.theta, vertices).min())
    inside = generator.dirichlet(np.full(len(vertices), 0.5), 10) @ vertices
    return vertices, np.concatenate([vertices, inside])


@pytest.mark.parametrize("name", PROBLEMS)
@settings(max_examples=examples(30), deadline=None)
@given(seed=seeds)
def test_tilt_bounds_enclose_the_truth(name, seed):
    generator = np.random.default_rng(seed)
    problem = PROBLEMS[name](generator)
    vertices, points = random_tile(generator, problem)
    level = min(max(problem.probability(problem.theta), 0.0), 1.0)
    slack, absolute = problem.rounding, problem.absolute
    at = (problem.family, problem.theta[None], vertices[None])
    above = tilt_bound(*at, min(1.0, level * (1 + slack) + absolute))[0]
    below = tilt_lower_bound(*at, max(level - slack - absolute, 0.0))[0]
    for displacement in points:
        truth = problem.probability(problem.theta + displacement)
        assert below - slack - absolute <= truth <= above * (1 + slack) + absolute


@pytest.mark.parametrize("name", PROBLEMS)
@settings(max_examples=examples(20), deadline=None)
@given(seed=seeds, alpha=st.floats(1e-4, 0.9))
def test_inverted_bounds_control_the_error(name, seed, alpha):
    """A region that is used with the probability that makes its error the inverted bound stays within alpha."""
    generator = np.random.default_rng(seed)
    problem = PROBLEMS[name](generator)
    vertices, points = random_tile(generator, problem)
    allowed = inverse_tilt_bound(problem.family, problem.theta[None], vertices[None], alpha)[0]
    level = max(problem.probability(problem.theta), 0.0) * (1 + problem.rounding) + problem.absolute
    share = min(1.0, allowed / level)
    for displacement in points:
        truth = share * problem.probability(problem.theta + displacement)
        assert truth <= alpha * (1 + problem.rounding) + problem.absolute


@pytest.mark.parametrize(("name", "seed"), [(name, 7) for name in PROBLEMS])
def test_interpolated_bounds_enclose_the_truth(name, seed):
    """Bounds of simplices are compared at random points of them."""
    generator = np.random.default_rng(seed)
    problem = PROBLEMS[name](generator)
    dim = len(problem.theta)
    shifts = problem.unit * generator.choice([0.3, 1.0, 3.0], (60, 1, 1)) * generator.normal(size=(60, dim + 1, dim))
    shifts *= np.minimum(1.0, 0.99 * problem.family.reach(problem.theta, shifts))[:, :, None]
    vertices = problem.theta + shifts
    exact = np.array([[problem.probability(vertex) for vertex in simplex] for simplex in vertices])
    upper, lower = (
        np.clip(exact * (1 + sign * problem.rounding) + sign * problem.absolute, 0.0, 1.0) for sign in (1, -1)
    )
    bound = interpolated_bound(problem.family, vertices, upper)
    below = interpolated_lower_bound(problem.family, vertices, lower)
    assert (below <= lower.max(axis=1)).all()
    assert (interpolated_reach(problem.family, vertices, upper) <= bound * (1 + 1e-9)).all()
    weights = generator.dirichlet(np.full(dim + 1, 0.7), (5, 60))
    for there in np.einsum("ksv,svd->ksd", weights, vertices):
        truth = np.array([problem.probability(theta) for theta in there])
        assert (truth <= bound * (1 + problem.rounding) + problem.absolute).all()
        assert (truth >= below * (1 - problem.rounding) - problem.absolute).all()


def test_a_simplex_that_reaches_for_the_border_keeps_its_digits():
    """Between rates of very different sizes the bound is not below the maximum, in closed form and with 50 digits.

    With rates left < 1 and logarithms g of limits plus A at both ends, g - fall (rate - left) / (1 - left) - A peaks
    where rate = n (1 - left) / fall. Where the ends differ by 9 standard errors or less, the search finds that.
    """
    n, low, log_upper = 3, np.geomspace(1e-12, 1e-2, 41), (np.log(0.4), -40.0)
    vertices = np.stack([low, np.ones_like(low)], axis=1)[:, :, None]
    bound = interpolated_log_bound(ada.Exponential(n), vertices, np.tile(log_upper, (len(low), 1)))
    for end, found in zip(low.tolist(), bound.tolist(), strict=True):
        with localcontext() as context:
            context.prec = 50
            left = Decimal(end)
            height = Decimal(log_upper[0]) - n * left.ln()
            fall = height - Decimal(log_upper[1])
            rate = n * (1 - left) / fall
            assert left < rate < 1
            most = height - fall * (rate - left) / (1 - left) + n * rate.ln()
            assert most <= Decimal(found)
            if end > 5e-3:
                assert Decimal(found) - most <= Decimal("1e-5")


def test_bounds_near_a_border_approach_one_and_no_tilt_leaves_the_domain():
    """Where a tile ends beside the border every tilt is small, and beyond that it is refused."""
    family, theta = ada.Exponential(20), np.array([[1.0]])
    previous = 0.025
    for rest in (0.5, 0.1, 1e-2, 1e-4):
        bound = tilt_bound(family, theta, np.array([[[rest - 1], [0.0]]]), 0.025)[0]
        assert previous <= bound <= 1
        previous = bound
    assert previous == 1
    for rest in (1e-7, 0.0, -1e-9, -5.0):
        with pytest.raises(DomainError):
            tilt_bound(family, theta, np.array([[[rest - 1], [0.0]]]), 0.025)


@pytest.mark.parametrize(
    ("one", "other", "theta"),
    [
        (ada.Product([ada.Binomial(9), ada.Binomial((4, 30))]), ada.Binomial((9, 4, 30)), (0.1, -1.0, 0.5)),
        (ada.Product([ada.Gamma(1.0, 7), ada.ScaledChiSquared(22)]), ada.Exponential((7, 11)), (2.0, 0.3)),
        (ada.MultivariateNormal(np.diag([4.0, 0.25]), n=9), ada.Normal(sd=(2.0, 0.5), n=9), (0.3, 0.1)),
        (ada.LinearMap(ada.Poisson(1.0), [[1.0]], offset=np.log(8.0)), ada.Poisson(8.0), (0.4,)),
        (
            ada.LinearMap(ada.Normal(sd=(1.0, 1.0)), np.linalg.inv(np.linalg.cholesky([[2.0, 0.6], [0.6, 1.0]]))),
            ada.MultivariateNormal([[2.0, 0.6], [0.6, 1.0]]),
            (0.2, -0.7),
        ),
    ],
)
def test_two_ways_to_say_the_same(one, other, theta):
    theta = np.array([theta])
    vertices = 0.1 * np.array([list(itertools.product((-1.0, 1.0), repeat=theta.shape[1]))])
    for level in (1e-4, 0.025, 0.6):
        for bound in (tilt_bound, inverse_tilt_bound):
            np.testing.assert_allclose(
                bound(one, theta, vertices, level), bound(other, theta, vertices, level), rtol=1e-9
            )


def test_a_tile_may_be_worst_between_its_vertices():
    """For fixed q the bound of a family that is no sum over parameters need not be largest at a vertex."""

    def cost(v):
        return (np.logaddexp(0, 2 * v) / 2 - np.logaddexp(0, v)).sum(axis=-1) + np.log(2.0)

    ends, middle = np.array([[2.0, 4.0], [4.0, 2.0]]), np.array([3.0, 3.0])
    assert cost(middle) > cost(ends).max()


def test_a_tile_that_is_worst_between_its_vertices_is_bounded_there():
    """In the middle of an edge ten of ten respond, the most powerful test's rejection, 630 times as often."""
    family, centre = ada.LinearMap(ada.Binomial((5, 5)), [[1.0, 1.0], [1.0, -1.0]]), np.zeros((1, 2))
    tile = np.array([list(itertools.product((-3.0, 3.0), repeat=2))])  # its vertices are (6, 0), (0, 6), ... as logits
    growth = (expit(3.0) / 0.5) ** 10
    assert tilt_bound(family, centre, tile, 1e-4)[0] >= 1e-4 * growth
    assert inverse_tilt_bound(family, centre, tile, 0.06)[0] * growth <= 0.06
