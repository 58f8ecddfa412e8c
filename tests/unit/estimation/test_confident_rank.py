"""The rank that calibrates with confidence: against exact sums, and the law that it is for."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import binomtest, norm

from adagrid.bounds import interpolated_bound
from adagrid.errors import InvalidInputError
from adagrid.estimation import calibration_rank, confident_rank
from adagrid.families import Binomial, Normal

DELTAS = (0.1, 0.01, 0.005, 1e-6)


def rank(n_sims: int, level: float, delta: float) -> int:
    return int(confident_rank(n_sims, level, delta))


def exact_rank(n_sims: int, level: float, delta: float) -> int:
    """The largest r with P(Beta(r, N + 1 - r) > level) = P(Bin(N, level) < r) <= delta, in fractions."""
    share, fewer, found = Fraction(level), Fraction(0), 0
    for r in range(1, n_sims + 1):
        fewer += comb(n_sims, r - 1) * share ** (r - 1) * (1 - share) ** (n_sims - r + 1)
        if fewer > Fraction(delta):
            break
        found = r
    return found


def probability_of_fewer(r: int, n_sims: int, level: float) -> float:
    """P(Bin(N, level) < r), summed from logarithms of factorials."""
    k = np.arange(r)
    terms = gammaln(n_sims + 1) - gammaln(k + 1) - gammaln(n_sims - k + 1)
    return float(np.exp(terms + k * np.log(level) + (n_sims - k) * np.log1p(-level)).sum())


@pytest.mark.parametrize(("n_sims", "expected"), [(8192, 173), (32768, 754), (131072, 3146)])
def test_known_values(n_sims, expected):
    assert rank(n_sims, 0.025, 0.01) == expected


def test_small_samples_by_enumeration():
    """Every N up to 60, levels that are attained exactly among them."""
    for n_sims in range(1, 61):
        levels = [0.004, 0.025, 0.05, 0.3, 0.5, 0.85, 10 / (n_sims + 10), 1 / (n_sims + 1)]
        for delta in (0.35, *DELTAS):
            expected = [exact_rank(n_sims, level, delta) for level in levels]
            assert confident_rank(n_sims, levels, delta).tolist() == expected, (n_sims, delta)


def test_a_delta_that_is_just_spent():
    """One simulation exceeds the level a with probability 1 - a: rounding makes ranks smaller, hardly ever."""
    assert rank(1, 0.75, 0.25 * (1 - 1e-7)) == 0
    assert rank(1, 0.75, 0.25 * (1 + 1e-7)) == 1
    assert rank(2, 0.5, 0.25 * (1 - 1e-7)) == 0
    assert rank(2, 0.5, 0.25 * (1 + 1e-7)) == 1


@settings(max_examples=60, deadline=None)
@given(n_sims=st.integers(1000, 2**18), share=st.floats(0.001, 0.2), delta=st.floats(1e-9, 0.3))
def test_large_samples_by_direct_sums(n_sims, share, delta):
    found = rank(n_sims, share, delta)
    assert found == 0 or probability_of_fewer(found, n_sims, share) <= delta * (1 + 1e-6)
    assert probability_of_fewer(found + 1, n_sims, share) > delta * (1 - 1e-6)


@pytest.mark.parametrize("shape", [999, 1000, 1001])
def test_where_the_inverse_beta_function_fails(shape):
    rng = np.random.default_rng(0)
    n_sims = np.exp(rng.uniform(np.log(2 * shape), np.log(2**30), 30)).astype(int)
    delta = 10 ** rng.uniform(-12, -0.6, 30)
    level = shape * np.exp(rng.uniform(0, 0.2, 30)) / n_sims
    for n, a, d, r in zip(n_sims, level, delta, confident_rank(n_sims, level, delta), strict=True):
        assert probability_of_fewer(int(r), int(n), a) <= d * (1 + 1e-5)
        assert probability_of_fewer(int(r) + 1, int(n), a) > d * (1 - 1e-5)


@settings(max_examples=200, deadline=None)
@given(n_sims=st.integers(0, 10**8), level=st.floats(0, 1), delta=st.floats(1e-12, 0.9), part=st.floats(0.01, 0.99))
def test_ranks_are_monotone_and_at_most_those_of_the_expectation(n_sims, level, delta, part):
    found = rank(n_sims, level, delta)
    assert 0 <= found <= calibration_rank(n_sims, level)
    assert rank(n_sims, level * part, delta) <= found
    assert rank(n_sims, level, delta * part) <= found
    assert rank(int(n_sims * part), level, delta) <= found


@pytest.mark.parametrize("weights", [(Fraction(1, 3),) * 3, (Fraction(1, 10), Fraction(1, 5), Fraction(7, 10))])
@pytest.mark.parametrize("n_sims", [3, 6])
def test_ties_only_lower_the_error(weights, n_sims):
    """All samples of a statistic with ties: the error with the threshold exceeds the level with probability delta."""
    below = [sum(weights[:i], Fraction(0)) for i in range(len(weights))]
    for level, delta in itertools.product((0.1, 0.3, 0.34, 0.7, 0.95), (0.4, 0.2, 0.05)):
        chosen, exceeding = rank(n_sims, level, delta), Fraction(0)
        for sample in itertools.product(range(len(weights)), repeat=n_sims):
            if chosen and below[sorted(sample)[chosen - 1]] > Fraction(level):
                exceeding += np.prod([weights[value] for value in sample])
        assert exceeding <= Fraction(delta)


def test_ends():
    assert rank(100, 0.0, 0.1) == 0
    assert rank(100, 1.0, 0.1) == 100
    assert rank(0, 0.5, 0.1) == 0
    # the least of N is above the level with probability (1 - level)^N
    assert rank(90, 0.05, 0.01) == 1
    assert rank(89, 0.05, 0.01) == 0


def test_arguments_broadcast():
    n_sims, level = np.array([[500], [1000]]), np.array([0.0, 0.02, 0.5])
    found = confident_rank(n_sims, level, 0.05)
    assert found.dtype == np.int64
    assert found.tolist() == [[rank(int(n), float(a), 0.05) for a in level] for n in n_sims[:, 0]]


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_deltas_are_refused(delta):
    with pytest.raises(InvalidInputError, match=f"got delta={delta}"):
        confident_rank(100, 0.05, delta)


@pytest.fixture(scope="module")
def normals():
    return np.random.default_rng(20).standard_normal((TestLaw.RUNS, TestLaw.SIMS))


class TestLaw:
    """How often the largest exact error of a threshold exceeds alpha, over many simulated calibrations of a z-test.

    A trial rejects when its standard normal number plus theta is above the threshold, or both are rounded; the region
    is theta from -1 to 0, so the largest error is the one at 0.
    """

    ALPHA, DELTA, RUNS, SIMS = 0.05, 0.1, 3000, 600

    def exceeding(self, thresholds, error=norm.sf):
        return int((error(thresholds) > self.ALPHA).sum())

    def kth_largest(self, values, k):
        return np.partition(values, self.SIMS - k, axis=1)[:, self.SIMS - k]

    def test_one_point(self, normals):
        """With a continuous statistic next to nothing of delta is left over."""
        exceeding = self.exceeding(self.kth_largest(normals, rank(self.SIMS, self.ALPHA, self.DELTA)))
        assert binomtest(exceeding, self.RUNS, self.DELTA, alternative="greater").pvalue > 1e-4
        assert exceeding > 0.7 * self.DELTA * self.RUNS
        average = self.exceeding(self.kth_largest(normals, int(calibration_rank(self.SIMS, self.ALPHA))))
        assert average > 0.4 * self.RUNS, "the rank of the expectation promises something else"

    def test_a_statistic_with_few_values(self, normals):
        """Values in steps of 0.4, so that the attainable errors are far apart, with one just above alpha."""
        step, above = 0.4, norm.isf(self.ALPHA * 1.05)
        rounded = np.floor((normals - above) / step)
        thresholds = self.kth_largest(rounded, rank(self.SIMS, self.ALPHA, self.DELTA))
        exceeding = self.exceeding(thresholds, lambda k: norm.sf(above + step * (k + 1)))
        assert exceeding > 0
        assert binomtest(exceeding, self.RUNS, self.DELTA, alternative="greater").pvalue > 1e-4

    def test_cells_of_a_region(self, normals):
        """Vertices share random numbers, each has all of delta, and the threshold is the most strict of theirs."""
        theta = np.linspace(-1, 0, 6)
        cells = np.stack([theta[:-1], theta[1:]], axis=1)[:, :, None]
        level = np.full((len(cells), 2), self.ALPHA)
        level *= self.ALPHA / interpolated_bound(Normal(), cells, level)[:, None]
        assert (interpolated_bound(Normal(), cells, level) <= self.ALPHA * (1 + 1e-9)).all()
        ranks = confident_rank(self.SIMS, level.min(), self.DELTA)
        thresholds = np.max([self.kth_largest(normals + each, int(ranks)) for each in theta], axis=0)
        exceeding = self.exceeding(thresholds)
        assert exceeding > 0
        assert binomtest(exceeding, self.RUNS, self.DELTA, alternative="greater").pvalue > 1e-4

    def test_a_cell_that_is_worst_in_its_middle(self):
        """A trial of two patients rejects if one responds and a uniform number is below the threshold.

        log f + A is linear, so that the bound between vertices is the error itself, and the error is largest at 0,
        between them. Each vertex has all of delta: the threshold is too large only if both thresholds are.
        """
        rng, family = np.random.default_rng(21), Binomial(2)
        uniform, patient = (rng.uniform(size=(self.RUNS, self.SIMS)) for _ in range(2))
        theta, thresholds = np.array([-1.0, 1.0]), []
        response = 1 / (1 + np.exp(-theta))
        level = self.ALPHA * 2 * response * (1 - response) / 0.5
        assert interpolated_bound(family, theta[None, :, None], level[None])[0] == pytest.approx(self.ALPHA)
        for rate, k in zip(response, confident_rank(self.SIMS, level, self.DELTA), strict=True):
            both, none = rate**2, (1 - rate) ** 2
            responds = (none < patient) & (patient < 1 - both)  # one of the two, by inversion
            thresholds.append(np.partition(np.where(responds, uniform, 1.0), k - 1, axis=1)[:, k - 1])
        exceeding = int((np.min(thresholds, axis=0) * 0.5 > self.ALPHA).sum())
        assert exceeding > 0
        assert binomtest(exceeding, self.RUNS, self.DELTA, alternative="greater").pvalue > 1e-4
