"""Dunnett's test, against published constants and the integral that these come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import adagrid as ada
from tests.support.certified import (
    assert_bounds,
    assert_calibrated,
    assert_fails,
    assert_simulated,
    calibrated,
    validated,
)
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
    assert dunnett_error(DUNNETT[treatments], treatments) == pytest.approx(0.025, abs=4e-6)
    assert dunnett_error(CRITICAL, treatments) == pytest.approx(UNADJUSTED[treatments], abs=5e-6)


def test_certificates():
    model = ada.Dunnett(2)
    grid = region(model)
    run = validated(model, CRITICAL, grid)
    assert_bounds(run, UNADJUSTED[2])
    assert_fails(run, 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), lambda threshold: dunnett_error(threshold, 2))


def test_four_treatments():
    assert_simulated(ada.Dunnett(4), np.zeros((1, 5)), CRITICAL, UNADJUSTED[4], null_truth=[True] * 4)


def test_whole_region():
    """Two treatments, means from -1 to 1: where one null is false, only the other's rejection is an error."""
    model = ada.Dunnett(2)
    run = validated(model, 2.2121, region(model, 1.0))
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
    for truth in ([True, True], [True, False], [False, True]):
        exact = [1 - joint.cdf(np.where(truth, 2.0 - (point[1:] - point[0]) * scale, 20.0)) for point in theta]
        assert_simulated(model, theta, 2.0, exact, 2**17, truth)


@pytest.mark.parametrize(
    "arguments", [{"treatments": 0}, {"treatments": [1, 2]}, {"treatments": 2, "n": [5, 5]}, {"treatments": 2, "n": 0}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.Dunnett(**arguments)
