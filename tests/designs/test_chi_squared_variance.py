"""The chi-squared test of a variance, against the chi-squared distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

import adagrid as ada
from tests.support.certified import (
    assert_bounds,
    assert_calibrated,
    assert_fails,
    assert_simulated,
    calibrated,
    validated,
)

# Upper and lower 2.5% points of chi-squared with 9 degrees of freedom, as in any table.
TABLE = {"larger": 19.0228, "smaller": 2.70039}


def region(model, variance):
    """Precisions from 1 to 2 (variance too large is claimed) or 0.5 to 1 (too small) times the border's."""
    ends = (1.0, 2.0) if model.reject_when == "large" else (0.5, 1.0)
    return ada.cartesian_grid([ends[0] / variance], [ends[1] / variance], n=1, null_hypos=model.null_hypos)


@pytest.mark.parametrize("alternative", TABLE)
def test_table(alternative):
    error = chi2(9).sf if alternative == "larger" else chi2(9).cdf
    point = TABLE[alternative]
    assert error(point) == pytest.approx(0.025, abs=1e-6)
    model = ada.ChiSquaredVariance(10, 4.0, alternative=alternative)
    grid = region(model, 4.0)
    assert_bounds(validated(model, point, grid), error(point))
    if alternative == "smaller":
        assert_calibrated(calibrated(model, 0.025, grid), error)


def test_a_normal_approximation_fails():
    """(n - 1) + 1.96 sqrt(2 (n - 1)): the tail is longer than that."""
    threshold = 9 + 1.96 * np.sqrt(18)
    model = ada.ChiSquaredVariance(10)
    run = validated(model, threshold, region(model, 1.0))
    assert_bounds(run, chi2.sf(threshold, 9))
    assert_fails(run, 0.025)


def test_errors_at_other_variances():
    """With the fewest observations."""
    variances, threshold = np.array([0.007, 0.01, 0.03]), chi2.isf(0.1, 1)
    model, exact = ada.ChiSquaredVariance(2, 0.01), chi2.sf(threshold * 0.01 / variances, 1)
    assert_simulated(model, 1 / variances[:, None], threshold, exact)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"n": 1}, "at least 2"),
        ({"n": [4, 5]}, "one number"),
        ({"n": 5, "variance": 0.0}, "above zero"),
        ({"n": 5, "variance": np.inf}, "finite"),
        ({"n": 5, "variance": [1.0, 2.0]}, "one finite number"),
        ({"n": 5, "alternative": "greater"}, "'larger' or 'smaller'"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.ChiSquaredVariance(**arguments)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ada.errors.InvalidInputError) as caught:
        ada.ChiSquaredVariance(1, -1.0, alternative="up")
    assert len(caught.value.problems) == 3
