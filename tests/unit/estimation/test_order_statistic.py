"""The rank that calibrates: exact, and its expected error never above the level."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from adagrid.estimation import below_rounding, calibration_rank


def exact_rank(n_sims: int, level: float) -> int:
    return min(n_sims, (n_sims + 1) * Fraction(level) // 1)


def rank(n_sims: int, level: float) -> int:
    return int(calibration_rank(np.array([n_sims]), np.array([level]))[0])


@settings(max_examples=300, deadline=None)
@given(n_sims=st.integers(1, 2**31), level=st.floats(0, 1))
def test_rank_is_exact(n_sims, level):
    assert rank(n_sims, level) == exact_rank(n_sims, level)


@settings(max_examples=300, deadline=None)
@given(n_sims=st.integers(1, 2**31), share=st.floats(0, 1), steps=st.integers(-3, 3))
def test_rank_is_exact_next_to_whole_numbers(n_sims, share, steps):
    """Levels r / (N + 1) and their neighbours in floating point, where a rounded product deceives."""
    level = round(share * (n_sims + 1)) / (n_sims + 1)
    for _ in range(abs(steps)):
        level = float(np.nextafter(level, 2.0 * (steps > 0)))
    level = min(max(level, 0.0), 1.0)
    assert rank(n_sims, level) == exact_rank(n_sims, level)


def test_every_doubtful_level_of_small_sizes():
    """All levels r / (N + 1) and both neighbours, for all N up to 150."""
    cases = [(n, r / (n + 1)) for n in range(1, 151) for r in range(n + 2)]
    n_sims, level = (np.array(column) for column in zip(*cases, strict=True))
    for target in (level, np.nextafter(level, 0.0), np.nextafter(level, 1.0)):
        expected = [exact_rank(int(n), float(a)) for n, a in zip(n_sims, target, strict=True)]
        assert calibration_rank(n_sims, target).tolist() == expected


def test_a_product_that_rounds_up_is_not_rounded_up():
    """0.3 in floating point is a little below three tenths, 0.1 a little above one tenth."""
    assert (9 + 1) * 0.3 == 3.0
    assert rank(9, 0.3) == 2
    assert rank(9, 0.1) == 1


@pytest.mark.parametrize(("n_sims", "level"), [(99, 0.05), (100, 0.05), (9, 0.3), (10, 0.0), (10, 1.0)])
def test_plain_numbers_are_accepted(n_sims, level):
    assert calibration_rank(n_sims, level) == exact_rank(n_sims, level)


def test_arguments_broadcast():
    n_sims, level = np.array([[9], [99], [1023]]), np.array([0.0, 0.025, 0.5, 1.0])
    expected = [[exact_rank(int(n), float(a)) for a in level] for n in n_sims[:, 0]]
    assert calibration_rank(n_sims, level).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(n_sims=st.integers(1, 10**6), level=st.floats(0, 1))
def test_rank_is_the_largest_that_keeps_the_level(n_sims, level):
    """The error rate below the r-th smallest of N uniforms is Beta(r, N + 1 - r), of mean r / (N + 1)."""
    chosen = rank(n_sims, level)
    assert 0 <= chosen <= n_sims
    if chosen > 0:
        assert Fraction(chosen, n_sims + 1) <= Fraction(level)
        assert beta(chosen, n_sims + 1 - chosen).mean() <= level * (1 + 1e-12)
    if chosen < n_sims:
        assert Fraction(chosen + 1, n_sims + 1) > Fraction(level)


@pytest.mark.parametrize(
    "weights",
    [(Fraction(1, 3),) * 3, (Fraction(1, 2), Fraction(1, 2)), (Fraction(1, 10), Fraction(1, 5), Fraction(7, 10))],
)
@pytest.mark.parametrize("n_sims", [1, 3, 5])
def test_expected_error_with_ties_by_enumeration(weights, n_sims):
    """All samples of a statistic with ties: rejecting below the threshold errs with at most the level."""
    for level in (0.2, 0.25, 0.5, 0.7, 1.0):
        chosen = rank(n_sims, level)
        error = Fraction(0)
        for sample in itertools.product(range(len(weights)), repeat=n_sims):
            probability = Fraction(1)
            for value in sample:
                probability *= weights[value]
            if chosen > 0:
                error += probability * sum(weights[: sorted(sample)[chosen - 1]], Fraction(0))
        assert error <= Fraction(level)


@pytest.mark.parametrize("n_sims", [1, 10, 1000, 10**6])
def test_rank_zero_below_one_in_n_plus_one(n_sims):
    first = 1 / (n_sims + 1)
    assert rank(n_sims, 0.0) == 0
    assert rank(n_sims, first * (1 - 1e-12)) == 0
    assert rank(n_sims, first * (1 + 1e-12)) == 1
    assert rank(n_sims, 5e-324) == 0


@pytest.mark.parametrize("n_sims", [0, 1, 7, 10**9])
def test_rank_stays_within_the_sample(n_sims):
    assert rank(n_sims, 1.0) == n_sims
    assert rank(n_sims, float(np.nextafter(1.0, 0.0))) == n_sims


def test_ranks_are_whole_numbers():
    """So that no later step can round them."""
    assert calibration_rank(np.array([9, 10]), 0.5).dtype == np.int64


@settings(max_examples=300, deadline=None)
@given(value=st.floats(float(np.nextafter(np.finfo(np.float32).min, np.float32(0))), width=32, allow_infinity=False))
def test_a_tie_with_another_rounding_does_not_reject(value):
    """Computed elsewhere in single precision, the simulated statistic may be the next smaller number."""
    lowered, elsewhere = float(below_rounding(value)), np.nextafter(np.float32(value), np.float32(-np.inf))
    assert lowered <= float(elsewhere)
    assert lowered >= value - 1e-6 * max(abs(value), float(np.finfo(np.float32).tiny))


def test_never_and_always_rejecting_stay():
    assert below_rounding([-np.inf, np.inf]).tolist() == [-np.inf, np.inf]
