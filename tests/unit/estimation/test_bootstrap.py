"""Bootstrap indices: distributed as sorted resamples are, without forming one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chisquare, ks_2samp, spearmanr

from adagrid._typing import IntArray
from adagrid.estimation import first_order_statistics

# Seeds are fixed: a p-value above this once stays above it.
SURELY_DIFFERENT = 1e-3


def brute_force(n_sims: int, n_resamples: int, count: int) -> IntArray:
    """Return the smallest indices of resamples that are drawn and sorted in full."""
    resamples = np.random.default_rng(7).integers(n_sims, size=(n_resamples, n_sims))
    return np.sort(resamples, axis=1)[:, :count]


def exact_probabilities(n_sims: int, position: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """P(index = j): at most j when more than `position` of N uniform indices are at most j."""
    at_most = binom.sf(position, n_sims, np.arange(1, n_sims + 1) / n_sims)
    return np.diff(at_most, prepend=0.0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_sims=st.integers(1, 5000),
    n_resamples=st.integers(0, 5),
    data=st.data(),
)
def test_resamples_are_sorted_indices_and_can_be_repeated(seed, n_sims, n_resamples, data):
    count = data.draw(st.integers(0, min(n_sims, 300)))
    indices = first_order_statistics(seed, n_sims, n_resamples, count)
    assert indices.shape == (n_resamples, count)
    assert indices.dtype == np.int64
    assert ((indices >= 0) & (indices < n_sims)).all()
    assert (np.diff(indices, axis=1) >= 0).all()
    np.testing.assert_array_equal(indices, first_order_statistics(seed, n_sims, n_resamples, count))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), n_sims=st.integers(1, 2000), data=st.data())
def test_fewer_resamples_and_fewer_indices_are_a_prefix(seed, n_sims, data):
    count = data.draw(st.integers(1, min(n_sims, 200)))
    more = first_order_statistics(seed, n_sims, 6, count)
    resamples, less = data.draw(st.integers(1, 6)), data.draw(st.integers(1, count))
    np.testing.assert_array_equal(first_order_statistics(seed, n_sims, resamples, less), more[:resamples, :less])


def test_seed_and_size_and_resample_change_the_draws():
    draws = [first_order_statistics(seed, n, 3, 40) / n for seed, n in ((0, 1000), (1, 1000), (0, 1001))]
    rows = np.concatenate(draws)
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize(("n_sims", "position"), [(1, 0), (7, 0), (7, 6), (50, 0), (50, 3), (50, 25), (50, 49)])
def test_each_index_has_its_exact_distribution(n_sims, position):
    n_resamples = 4000
    drawn = first_order_statistics(11, n_sims, n_resamples, position + 1)[:, position]
    expected = n_resamples * exact_probabilities(n_sims, position)
    observed = np.bincount(drawn, minlength=n_sims)
    common = expected >= 5
    bins = [[*column[common], column[~common].sum()] for column in (observed, expected)]
    if bins[1][-1] < 1:  # too rare to be a bin of its own
        assert bins[0][-1] <= 8
        bins = [[*column[:-2], column[-2] + column[-1]] for column in bins]
    if len(bins[1]) > 1:
        assert chisquare(*bins).pvalue > SURELY_DIFFERENT
    else:
        assert (drawn == 0).all()


@pytest.mark.parametrize("summary", ["first", "fourth", "step", "sum", "ties"])
def test_joint_distribution_is_that_of_a_brute_force_bootstrap(summary):
    """Not only each index: their gaps, sums and ties too."""
    summaries = {
        "first": lambda x: x[:, 0],
        "fourth": lambda x: x[:, 3],
        "step": lambda x: x[:, 9] - x[:, 2],
        "sum": lambda x: x.sum(axis=1),
        "ties": lambda x: (np.diff(x, axis=1) == 0).sum(axis=1),
    }
    ours = summaries[summary](first_order_statistics(3, 60, 3000, 12))
    theirs = summaries[summary](brute_force(60, 3000, 12))
    assert ks_2samp(ours, theirs).pvalue > SURELY_DIFFERENT


@pytest.mark.parametrize(("n_sims", "count"), [(40, 40), (1000, 30), (2**20, 50)])
def test_means_and_spreads_are_those_of_theory(n_sims, count):
    n_resamples = 5000
    indices = first_order_statistics(5, n_sims, n_resamples, count)
    for position in (0, count // 2, count - 1):
        j = np.arange(1, min(n_sims, 1000))  # beyond a thousand the probabilities vanish
        at_least = binom.cdf(position, n_sims, j / n_sims)
        mean = at_least.sum()
        variance = ((2 * j - 1) * at_least).sum() - mean**2
        error = np.sqrt(variance / n_resamples)
        assert abs(indices[:, position].mean() - mean) < 4 * error + 1e-9
        assert indices[:, position].var() == pytest.approx(variance, rel=0.15, abs=1e-9)


def test_resamples_are_independent_of_each_other():
    sums = first_order_statistics(9, 500, 4001, 20).sum(axis=1)
    assert spearmanr(sums[:-1], sums[1:]).pvalue > SURELY_DIFFERENT
