"""Group-sequential t-tests, against an integral for two looks and trials of single observations in NumPy for more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

import adagrid as ada
from adagrid.engine import Shape, Simulator
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails, calibrated, validated
from tests.support.oracles import two_looks_t_error

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
    grid = region(model)
    assert_bounds(validated(model, 1.0, grid), exact)
    run = calibrated(model, 0.025, grid, model_seed=1)  # one calibration in twenty misses its targets
    assert_calibrated(run, lambda threshold: two_looks_t_error(*(threshold * nominal), SIZES))
    run = validated(ada.GroupSequentialT(SIZES, once.tolist()), 1.0, grid)
    assert_bounds(run, two_looks_t_error(*once, SIZES))
    assert_fails(run, 0.025)


def assert_as_in_numpy(n, boundary):
    """As many of 131,072 trials reject as observation by observation, at means of -.2, 0 and .4 deviations."""
    sims, sd = 2**17, 1.7
    effects = np.array([-0.2, 0.0, 0.4])
    theta = np.stack([effects / sd, np.full(3, -0.5 / sd**2)], axis=1)
    simulator = Simulator(ada.GroupSequentialT(n, boundary), 0, 1, shape=Shape(8192, 3))
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


def test_many_looks():
    """One of them without rejection."""
    assert_as_in_numpy([2, 4, 5, 9], [12.0, np.inf, 2.5, 2.2])


def test_one_look_is_the_t_test():
    """To the last bit: the same draws, the same statistic."""
    theta, truth = np.array([[0.0, -0.5], [0.3, -2.0]]), np.ones((2, 1), bool)
    one, plain = (
        Simulator(model, 0, 1, shape=Shape(4096, 2)).smallest(theta, truth, 4096, 4096)
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
