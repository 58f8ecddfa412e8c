"""The t-test, against Student's distribution and the noncentral one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nct, norm, t

import adagrid as ada
from tests.support.certified import (
    assert_bounds,
    assert_calibrated,
    assert_fails,
    assert_simulated,
    calibrated,
    validated,
)

# One-sided 2.5%: Student's critical values, and the error with that of the normal distribution instead.
NORMAL = norm.isf(0.025)
CRITICAL = {5: 2.77645, 10: 2.26216, 20: 2.09302}
WITH_NORMAL = {5: 0.06078, 10: 0.04082, 20: 0.03242}


def region(model):
    """Standard deviations from .91 to 1.12, and means from -.25 to 0."""
    return ada.cartesian_grid([-0.2, -0.6], [0, -0.4], n=1, null_hypos=model.null_hypos)


@pytest.mark.parametrize("n", CRITICAL)
def test_published_critical_values(n):
    assert t.isf(0.025, n - 1) == pytest.approx(CRITICAL[n], abs=5e-6)
    assert t.sf(NORMAL, n - 1) == pytest.approx(WITH_NORMAL[n], abs=5e-6)


def test_certificates():
    model = ada.TTest(10)
    grid = region(model)
    assert_bounds(validated(model, CRITICAL[10], grid), 0.025)
    broken = validated(model, NORMAL, grid)
    assert_bounds(broken, WITH_NORMAL[10])
    assert_fails(broken, 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), lambda threshold: t.sf(threshold, 9))


def test_units_and_other_means():
    """The noncentral t distribution, with the fewest observations, in three units of measurement."""
    n, threshold = 2, 1.5
    effect, sd = np.array([0.3, -1.0, 0.0]) / np.sqrt(n), np.array([0.02, 1.0, 30.0])
    theta = np.stack([effect / sd, -0.5 / sd**2], axis=1)
    assert_simulated(ada.TTest(n), theta, threshold, nct.sf(threshold, n - 1, np.sqrt(n) * effect))


@pytest.mark.parametrize("n", [1, 0, -3, [5, 5], 2.5, "five"])
def test_bad_arguments(n):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.TTest(n)
