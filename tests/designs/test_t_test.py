"""The t-test, against Student's distribution and the noncentral one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nct, norm, t

import adagrid as ada
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails

# One-sided 2.5%: Student's critical values, and the error with that of the normal distribution instead.
NORMAL = norm.isf(0.025)
CRITICAL = {5: 2.77645, 10: 2.26216, 20: 2.09302}
WITH_NORMAL = {5: 0.06078, 10: 0.04082, 20: 0.03242}
TARGETS = {"max_target": 0.004, "global_target": 0.01}


def region(model):
    """Standard deviations from .91 to 1.12, and means from -.25 to 0."""
    return ada.cartesian_grid([-0.2, -0.6], [0, -0.4], n=1, null_hypos=model.null_hypos)


@pytest.mark.parametrize("n", CRITICAL)
def test_published_critical_values(n):
    assert t.isf(0.025, n - 1) == pytest.approx(CRITICAL[n], abs=5e-6)
    assert t.sf(NORMAL, n - 1) == pytest.approx(WITH_NORMAL[n], abs=5e-6)
    model = ada.TTest(n)
    grid = region(model)
    kept, broken = (
        ada.ada_validate(model, threshold=threshold, grid=grid, method="interpolated", **TARGETS)
        for threshold in (CRITICAL[n], NORMAL)
    )
    assert_bounds(kept, 0.025)
    assert_bounds(broken, WITH_NORMAL[n])
    assert_fails(broken, 0.025)


def test_calibration():
    model = ada.TTest(10)
    run = ada.ada_calibrate(model, alpha=0.025, grid=region(model), method="interpolated")
    assert_calibrated(run, lambda threshold: t.sf(threshold, 9))


def test_units_and_other_means():
    """The noncentral t distribution, with the fewest observations, in three units of measurement."""
    n, threshold, sims = 2, 1.5, 2**18
    effect, sd = np.array([0.3, -1.0, 0.0]) / np.sqrt(n), np.array([0.02, 1.0, 30.0])
    theta = np.stack([effect / sd, -0.5 / sd**2], axis=1)
    simulator = ada.engine.Simulator(ada.TTest(n), 0, 1)
    counts = simulator.count(theta, np.ones((3, 1), bool), -threshold, 0, sims)
    exact = nct.sf(threshold, n - 1, np.sqrt(n) * effect)
    assert (np.abs(counts / sims - exact) < 5 * np.sqrt(exact / sims)).all()


@pytest.mark.parametrize("n", [1, 0, -3, [5, 5], 2.5, "five"])
def test_bad_arguments(n):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.TTest(n)
