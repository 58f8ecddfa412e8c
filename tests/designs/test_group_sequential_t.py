"""Group-sequential t-tests, against an integral for two looks and trials of single observations in NumPy for more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

import adagrid as ada
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails
from tests.support.oracles import two_looks_t_error

TARGETS = {"max_target": 0.004, "global_target": 0.01}
# Pocock's boundary for two looks with known variance, one-sided 2.5%.
POCOCK = 2.17827
SIZES = (6, 16)


def region(model):
    return ada.cartesian_grid([-0.2, -0.6], [0, -0.4], n=1, null_hypos=model.null_hypos)


def test_the_integral_knows_one_look():
    """Without the second look it is Student's t; without the first one, too, at the second's degrees of freedom."""
    assert two_looks_t_error(t.isf(0.025, 5), 1e9, SIZES) == pytest.approx(0.025, abs=1e-6)
    assert two_looks_t_error(1e9, t.isf(0.025, 15), SIZES) == pytest.approx(0.025, abs=1e-5)


def test_two_looks():
    """Pocock's boundary at its tail probability of the t distribution is nearly right; that of a single look is not."""
    nominal = t.isf(norm.sf(POCOCK), np.array(SIZES) - 1)
    once = t.isf(0.025, np.array(SIZES) - 1)
    exact = two_looks_t_error(*nominal, SIZES)
    assert 0.025 < exact < 0.0275
    model = ada.GroupSequentialT(SIZES, nominal.tolist())
    assert_bounds(ada.ada_validate(model, threshold=1.0, grid=region(model), method="interpolated", **TARGETS), exact)
    model = ada.GroupSequentialT(SIZES, once.tolist())
    run = ada.ada_validate(model, threshold=1.0, grid=region(model), method="interpolated", **TARGETS)
    assert_bounds(run, two_looks_t_error(*once, SIZES))
    assert_fails(run, 0.025)


def test_calibration():
    nominal = t.isf(norm.sf(POCOCK), np.array(SIZES) - 1)
    model = ada.GroupSequentialT(SIZES, nominal.tolist())
    run = ada.ada_calibrate(model, alpha=0.025, grid=region(model), method="interpolated")
    assert_calibrated(run, lambda threshold: two_looks_t_error(*(threshold * nominal), SIZES))


@pytest.mark.parametrize(("n", "boundary"), [([3, 4, 5, 9], [3.0, np.inf, 2.5, 2.2]), ([2, 3], 3.0)])
def test_many_looks(n, boundary):
    """200,000 trials observation by observation in NumPy, at means of -.2, 0 and .4 standard deviations."""
    model, sims, sd = ada.GroupSequentialT(n, boundary), 200_000, 1.7
    effects = np.array([-0.2, 0.0, 0.4])
    theta = np.stack([effects / sd, np.full(3, -0.5 / sd**2)], axis=1)
    simulator = ada.engine.Simulator(model, 0, 1)
    counts = simulator.count(theta, np.ones((3, 1), bool), -1.0, 0, sims)
    noise = np.random.default_rng(1).standard_normal((sims, n[-1]))
    for effect, count in zip(effects, counts, strict=True):
        x = sd * (noise + effect)
        rejects = np.zeros(sims, bool)
        for size, bound in zip(n, np.broadcast_to(boundary, len(n)), strict=True):
            seen = x[:, :size]
            rejects |= np.sqrt(size) * seen.mean(axis=1) / seen.std(axis=1, ddof=1) > bound
        error = rejects.mean()
        assert abs(count / sims - error) < 5 * np.sqrt(2 * error / sims)


def test_one_look_is_the_t_test():
    """To the last bit: the same draws, the same statistic."""
    theta, truth = np.array([[0.0, -0.5], [0.3, -2.0]]), np.ones((2, 1), bool)
    one, plain = (
        ada.engine.Simulator(model, 0, 1).smallest(theta, truth, 4096, 4096)
        for model in (ada.GroupSequentialT([10]), ada.TTest(10))
    )
    np.testing.assert_array_equal(one, plain)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"n": [1, 5]}, "at least 2"),
        ({"n": [5, 5]}, "increase"),
        ({"n": 0}, "positive whole number"),
        ({"n": [5, 10], "boundary": [2.0, 2.0, 2.0]}, "2, one per look"),
        ({"n": [5, 10], "boundary": [2.0, 0.0]}, "above zero"),
        ({"n": [5, 10], "boundary": np.nan}, "above zero"),
        ({"n": [5, 10], "boundary": np.inf}, "finite at one look"),
        ({"n": [5, 10], "boundary": "pocock"}, "an array of numbers"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.GroupSequentialT(**arguments)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ada.errors.InvalidInputError) as caught:
        ada.GroupSequentialT([5, 4], [1.0, -1.0])
    assert len(caught.value.problems) == 2
