"""The bounds hold: compared with exact error rates of random and of the worst possible tests."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb, expit
from scipy.stats import norm

from adagrid._typing import FloatArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound, tilt_lower_bound
from adagrid.families import Binomial, Family, Normal

# Rounding of the exact sums, not of the bounds.
ROUNDING = 1e-12
REJECTIONS = ("subset", "weights", "rare", "half-space", "single outcome")
seeds = st.integers(0, 2**32 - 1)


def random_tile(generator: np.random.Generator, theta: FloatArray, unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the displacements of a random tile's vertices, and of random points in it, vertices included.

    Args:
        generator: source of randomness.
        theta: the point, shape (dim,); it lies in the tile, but seldom at its centre.
        unit: size of an ordinary tile in each direction, shape (dim,).
    """
    low, high = -unit * generator.exponential(size=theta.size), unit * generator.exponential(size=theta.size)
    if generator.random() < 0.2:
        low[generator.integers(theta.size)] = 0.0
    vertices = np.array(list(itertools.product(*zip(low, high, strict=True))))
    inside = generator.uniform(low, high, (12, theta.size))
    return vertices, np.concatenate([vertices, inside])


def upper(family: Family, theta: FloatArray, vertices: FloatArray, level: float) -> float:
    return float(tilt_bound(family, theta[None], vertices[None], level)[0])


def lower(family: Family, theta: FloatArray, vertices: FloatArray, level: float) -> float:
    return float(tilt_lower_bound(family, theta[None], vertices[None], level)[0])


def inverse(family: Family, theta: FloatArray, vertices: FloatArray, level: float) -> float:
    return float(inverse_tilt_bound(family, theta[None], vertices[None], level)[0])


# Binomial arms: sums over all outcomes.


class Arms:
    """Random binomial arms with every outcome listed."""

    def __init__(self, generator: np.random.Generator) -> None:
        arms = int(generator.integers(1, 4))
        self.n = generator.integers(1, (21, 13, 8)[arms - 1], arms)
        self.family = Binomial(self.n.tolist())
        self.theta = generator.normal(0, generator.choice([0.5, 2.0, 8.0]), arms)
        self.outcomes = np.array(list(itertools.product(*(range(k + 1) for k in self.n))))
        self.log_choices = np.log(comb(self.n, self.outcomes)).sum(axis=1)
        spread = np.sqrt(self.n * expit(self.theta) * expit(-self.theta)) + 0.05
        self.unit = generator.choice([1e-3, 0.1, 0.5, 2.0]) / spread
        self.vertices, self.points = random_tile(generator, self.theta, self.unit)

    def pmf(self, theta: FloatArray) -> FloatArray:
        """Return the probabilities of all outcomes; in logits, as probabilities near one have lost digits."""
        log = self.log_choices + self.outcomes @ theta - self.n @ np.logaddexp(0.0, theta)
        return np.exp(log)

    def mean(self, rejection: FloatArray, displacement: FloatArray | float = 0.0) -> float:
        return min(1.0, float(self.pmf(self.theta + displacement) @ rejection))

    def random_rejection(self, generator: np.random.Generator, kind: str) -> FloatArray:
        count = len(self.outcomes)
        if kind == "weights":
            return generator.random(count)
        if kind == "single outcome":
            return (np.arange(count) == generator.integers(count)).astype(float)
        if kind == "half-space":
            score = self.outcomes @ generator.normal(size=self.n.size)
            return (score >= generator.choice(score)).astype(float)
        return (generator.random(count) < (0.5 if kind == "subset" else 0.05)).astype(float)

    def most_powerful(self, displacement: FloatArray, level: float) -> FloatArray:
        """Return the test with mean `level` at theta whose mean at theta + displacement is the largest there is.

        Neyman and Pearson: outcomes in the order of their likelihood ratio, the last one in part.
        """
        rejection = np.zeros(len(self.outcomes))
        null = self.pmf(self.theta)
        left = level
        for outcome in np.argsort(-(self.outcomes @ displacement), kind="stable"):
            rejection[outcome] = min(1.0, left / null[outcome]) if null[outcome] > 0 else 1.0
            left = max(left - null[outcome], 0.0)
        return rejection


@settings(max_examples=150, deadline=None)
@given(seed=seeds, kind=st.sampled_from(REJECTIONS))
def test_bounds_of_binomial_arms_enclose_the_truth(seed, kind):
    generator = np.random.default_rng(seed)
    arms = Arms(generator)
    rejection = arms.random_rejection(generator, kind)
    level = arms.mean(rejection)
    above = upper(arms.family, arms.theta, arms.vertices, level)
    below = lower(arms.family, arms.theta, arms.vertices, max(level - ROUNDING, 0.0))  # a sum near one is rounded
    for displacement in arms.points:
        truth = arms.mean(rejection, displacement)
        assert below - ROUNDING <= truth <= above * (1 + ROUNDING) + 1e-300


@settings(max_examples=80, deadline=None)
@given(seed=seeds, level=st.floats(1e-6, 0.999))
def test_bounds_of_binomial_arms_enclose_the_most_powerful_test(seed, level):
    arms = Arms(np.random.default_rng(seed))
    above = upper(arms.family, arms.theta, arms.vertices, level)
    below = lower(arms.family, arms.theta, arms.vertices, level)
    for displacement in arms.points:
        best = arms.most_powerful(displacement, level)
        assert arms.mean(best) == pytest.approx(level, rel=1e-9)
        assert arms.mean(best, displacement) <= above * (1 + ROUNDING)
        worst = 1 - arms.most_powerful(displacement, 1 - level)
        assert arms.mean(worst, displacement) >= below - ROUNDING


@settings(max_examples=100, deadline=None)
@given(seed=seeds, kind=st.sampled_from(REJECTIONS), alpha=st.floats(1e-4, 0.9))
def test_inverted_bound_of_binomial_arms_controls_the_error(seed, kind, alpha):
    generator = np.random.default_rng(seed)
    arms = Arms(generator)
    allowed = inverse(arms.family, arms.theta, arms.vertices, alpha)
    rejection = arms.random_rejection(generator, kind)
    level = arms.mean(rejection)
    if level > allowed:
        rejection *= allowed / level
    for displacement in arms.points:
        for test in (rejection, arms.most_powerful(displacement, allowed)):
            assert arms.mean(test, displacement) <= alpha * (1 + ROUNDING)


def test_bounds_of_many_tiles_at_once_are_those_of_each():
    generator = np.random.default_rng(3)
    family = Binomial((10, 20))
    theta = generator.normal(size=(9000, 2))  # more than one slice of the search
    vertices = np.array(list(itertools.product((-0.1, 0.1), repeat=2))) * generator.random((9000, 1, 1))
    level = generator.random(9000)
    for bound in (tilt_bound, inverse_tilt_bound, tilt_lower_bound):
        together = bound(family, theta, vertices, level)
        for i in (0, 4095, 4096, 8192, 8999):
            alone = bound(family, theta[i : i + 1], vertices[i : i + 1], level[i])
            np.testing.assert_allclose(together[i], alone[0], rtol=1e-12)


# Normal means: half-lines, intervals and half-spaces.


def random_mean(generator: np.random.Generator) -> tuple[Normal, FloatArray, FloatArray, FloatArray]:
    sd, n = float(generator.choice([0.3, 1.0, 50.0])), int(generator.integers(1, 200))
    family = Normal(sd=sd, n=n)
    theta = generator.normal(size=1) * 3 * sd / np.sqrt(n)
    vertices, points = random_tile(generator, theta, np.full(1, generator.choice([1e-3, 0.1, 1.0]) * sd / np.sqrt(n)))
    return family, theta, vertices, points


def probability(intervals: FloatArray, mean: float, standard_error: float) -> float:
    """Return the probability of a union of disjoint intervals, shape (intervals, 2), from the nearer tails."""
    ends = (intervals - mean) / standard_error
    left, right = ends[:, 0], ends[:, 1]
    return float(np.where(left > 0, norm.sf(left) - norm.sf(right), norm.cdf(right) - norm.cdf(left)).sum())


def random_intervals(generator: np.random.Generator, kind: str, mean: float, standard_error: float) -> FloatArray:
    ends = np.sort(generator.normal(0, 2, 4)) * standard_error + mean
    match kind:
        case "lower half-line":
            return np.array([[-np.inf, ends[0]]])
        case "upper half-line":
            return np.array([[ends[3], np.inf]])
        case "interval":
            return ends[None, 1:3]
        case "two half-lines":
            return np.array([[-np.inf, ends[0]], [ends[3], np.inf]])
    return ends.reshape(2, 2)


INTERVALS = ("lower half-line", "upper half-line", "interval", "two half-lines", "two intervals")


@settings(max_examples=150, deadline=None)
@given(seed=seeds, kind=st.sampled_from(INTERVALS))
def test_bounds_of_a_normal_mean_enclose_the_truth(seed, kind):
    generator = np.random.default_rng(seed)
    family, theta, vertices, points = random_mean(generator)
    error = float(family.standard_errors[0])
    region = random_intervals(generator, kind, float(theta[0]), error)
    level = probability(region, float(theta[0]), error)
    above = upper(family, theta, vertices, level)
    below = lower(family, theta, vertices, max(level - ROUNDING, 0.0))
    for displacement in points:
        truth = probability(region, float(theta[0] + displacement[0]), error)
        assert below - ROUNDING <= truth <= above * (1 + ROUNDING) + ROUNDING * level


@settings(max_examples=100, deadline=None)
@given(seed=seeds, alpha=st.floats(1e-6, 0.9))
def test_inverted_bound_of_a_normal_mean_controls_the_error(seed, alpha):
    """The worst regions of a given size are half-lines."""
    family, theta, vertices, points = random_mean(np.random.default_rng(seed))
    allowed = inverse(family, theta, vertices, alpha)
    for displacement in points:
        power = norm.cdf(norm.ppf(allowed) + abs(displacement[0]) / family.standard_errors[0])
        assert power <= alpha * (1 + 1e-11)


@settings(max_examples=80, deadline=None)
@given(seed=seeds, level=st.floats(1e-6, 0.999))
def test_bounds_of_three_normal_means_enclose_half_spaces(seed, level):
    generator = np.random.default_rng(seed)
    family = Normal(sd=generator.uniform(0.1, 10, 3).tolist(), n=generator.integers(1, 100, 3).tolist())
    errors = family.standard_errors
    theta = generator.normal(size=3) * errors
    vertices, points = random_tile(generator, theta, errors * generator.choice([1e-3, 0.1, 0.5]))
    above, below = upper(family, theta, vertices, level), lower(family, theta, vertices, level)
    allowed = inverse(family, theta, vertices, level)
    for displacement in points:
        distance = np.linalg.norm(displacement / errors)
        assert norm.cdf(norm.ppf(level) + distance) <= above * (1 + 1e-11)
        assert norm.cdf(norm.ppf(level) - distance) >= below - ROUNDING
        assert norm.cdf(norm.ppf(allowed) + distance) <= level * (1 + 1e-11)


@pytest.mark.parametrize("size", [1e3, 1e160, 1e300])
@pytest.mark.parametrize("family", [Normal(), Normal(sd=(1.0, 2.0))])
def test_tiles_beyond_what_numbers_hold_have_trivial_bounds(family, size):
    """Log-partitions there are infinite: nothing is known."""
    theta, tile = np.zeros(family.dim), size * np.array(list(itertools.product((-1.0, 1.0), repeat=family.dim)))
    assert upper(family, theta, tile, 0.01) == 1
    assert inverse(family, theta, tile, 0.01) < 1e-300
    assert lower(family, theta, tile, 0.01) < 1e-300


@pytest.mark.parametrize("far", [0.0, 1e4])
@settings(max_examples=60, deadline=None)
@given(level=st.floats(1e-9, 0.3), shift=st.floats(0.01, 2.0))
def test_bound_of_a_normal_mean_in_closed_form(far, level, shift):
    """The best q makes it exp(-(sqrt(2 log(1/a)) - v)^2 / 2). Far away log-partitions have lost digits."""
    root = np.sqrt(-2 * np.log(level))
    if root <= shift:
        return
    theta, tile = np.array([far]), np.array([[shift]])
    exact, rounding = np.exp(-((root - shift) ** 2) / 2), 32 * np.finfo(float).eps * (1 + far**2)
    assert exact * (1 - 1e-14) <= upper(Normal(), theta, tile, level) <= exact * (1 + 1e-9 + rounding)
    assert inverse(Normal(), theta, tile, float(exact)) <= level * (1 + 1e-12)
