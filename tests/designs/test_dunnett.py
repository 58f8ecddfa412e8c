"""Dunnett's test, against published constants and the integral that these come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import adagrid as ada
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails
from tests.support.oracles import dunnett_error

CRITICAL = norm.isf(0.025)
# One-sided 2.5% with known standard deviation, by number of treatments, and the error without adjustment.
DUNNETT = {2: 2.2121, 3: 2.3490, 4: 2.4418}
UNADJUSTED = {2: 0.04538, 3: 0.06274, 4: 0.07793}


def region(model, width=0.1):
    dim = model.family.dim
    return ada.cartesian_grid([-width] * dim, [width] * dim, n=1, null_hypos=model.null_hypos)


@pytest.mark.parametrize("treatments", DUNNETT)
def test_published_constants(treatments):
    error = lambda threshold: dunnett_error(threshold, treatments)
    assert error(DUNNETT[treatments]) == pytest.approx(0.025, abs=4e-6)
    assert error(CRITICAL) == pytest.approx(UNADJUSTED[treatments], abs=5e-6)
    model, targets = ada.Dunnett(treatments), {"max_target": 0.004, "global_target": 0.01}
    grid = region(model)
    run = ada.ada_validate(model, threshold=CRITICAL, grid=grid, method="interpolated", **targets)
    assert_bounds(run, UNADJUSTED[treatments])
    assert_fails(run, 0.025)
    assert_calibrated(ada.ada_calibrate(model, alpha=0.025, grid=grid, method="interpolated"), error)


def test_whole_region():
    """Two treatments, means from -1 to 1: where one null is false, only the other's rejection is an error."""
    model = ada.Dunnett(2)
    run = ada.ada_validate(model, threshold=2.2121, grid=region(model, 1.0), method="interpolated")
    assert_bounds(run, 0.025)
    cells = run.results()
    single = cells[cells["null_truth0"] != cells["null_truth1"]]
    assert len(single)
    assert (single["tie_bound"] >= norm.sf(2.2121)).any()
    assert single["tie_estimate"].max() < 0.02 < cells["tie_estimate"].max()


def test_unequal_arms():
    """Probabilities of a bivariate normal distribution, with units and arms of different sizes."""
    sizes, sd, theta = [40, 25, 30], 3.0, np.array([[0.3, 0.5, -0.1], [0.0, 0.0, 0.4]])
    model = ada.Dunnett(2, n=sizes, sd=sd)
    errors = sd / np.sqrt(sizes)
    scale = 1 / np.sqrt(errors[1:] ** 2 + errors[0] ** 2)
    correlation = errors[0] ** 2 * scale[0] * scale[1]
    joint = multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    simulator = ada.engine.Simulator(model, 0, 2)
    for truth in ([True, True], [True, False], [False, True]):
        counts = simulator.count(theta, np.array([truth, truth]), -2.0, 0, 2**18)
        for point, count in zip(theta, counts, strict=True):
            accepted = np.where(truth, 2.0 - (point[1:] - point[0]) * scale, 20.0)
            exact = 1 - joint.cdf(accepted)
            assert abs(count / 2**18 - exact) < 5 * np.sqrt(exact / 2**18)


@pytest.mark.parametrize(
    "arguments", [{"treatments": 0}, {"treatments": [1, 2]}, {"treatments": 2, "n": [5, 5]}, {"treatments": 2, "n": 0}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.Dunnett(**arguments)
