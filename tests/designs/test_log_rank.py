"""The log-rank test, against SciPy's on single trials, and independent trials in NumPy."""

from __future__ import annotations

from math import comb

import jax
import numpy as np
import pytest
from scipy.stats import CensoredData, beta, logrank

import adagrid as ada
from adagrid.engine import Shape, Simulator
from tests.support.certified import assert_fails, validated
from tests.support.oracles import log_rank_z, survival_data

NULL = np.ones(1, bool)


def size_between(n, hazard, accrual, follow_up, sims):
    """Limits of the rejection probability at 1.96 with equal hazards, each with confidence 1 - 1e-4."""
    count = 0
    for seed in range(8):
        survival, observed = survival_data(n, [hazard, hazard], accrual, follow_up, sims // 8, seed)
        count += int((log_rank_z(survival, observed, n) > 1.96).sum())
    return beta.ppf(1e-4, count, sims - count + 1), beta.ppf(1 - 1e-4, count + 1, sims - count)


@pytest.mark.parametrize(
    ("n", "theta", "accrual", "follow_up"),
    [
        ((20, 20), (1.0, 1.0), 1.0, 0.5),
        ((5, 9), (2.0, 0.7), 0.0, 0.3),
        ((50, 25), (0.1, 0.2), 12.0, 0.0),
        ((8, 8), (1.0, 1.0), 0.0, np.inf),
    ],
)
def test_scipy_on_single_trials(n, theta, accrual, follow_up):
    statistic = jax.jit(ada.LogRank(n, accrual, follow_up).statistic)
    for seed in range(5):
        survival, observed = (x[0] for x in survival_data(n, theta, accrual, follow_up, 1, seed))
        time, death = np.minimum(survival, observed), survival <= observed
        censored = [
            CensoredData(uncensored=time[part & death], right=time[part & ~death])
            for part in (np.arange(sum(n)) < n[0], np.arange(sum(n)) >= n[0])
        ]
        arms = np.split(np.float32(survival), [n[0]])
        z = statistic((arms, np.float32(observed)), NULL)
        assert float(z) == pytest.approx(logrank(*censored).statistic, abs=2e-5)
        assert log_rank_z(survival[None], observed[None], n)[0] == pytest.approx(float(z), abs=2e-5)


def assert_as_in_numpy(n, accrual, follow_up, theta):
    """As many trials reject as of 32,768 in NumPy."""
    sims = 2**15
    simulator = Simulator(ada.LogRank(n, accrual, follow_up), 0, 1, shape=Shape(8192, 1))
    count = simulator.count(np.array([theta]), NULL[None], -1.0, 0, sims)[0]
    error = np.mean(log_rank_z(*survival_data(n, theta, accrual, follow_up, sims, 9), n) > 1.0)
    assert abs(count / sims - error) < 5 * np.sqrt(2 * error * (1 - error) / sims)


def test_simulated_trials_are_those_of_numpy():
    """Rejections at unequal hazards."""
    assert_as_in_numpy((15, 10), 24.0, 6.0, (0.05, 0.06))


@pytest.mark.parametrize("n", [(3, 2), (2, 4)])
def test_the_largest_z_counts_when_the_threshold_is_beside_it(n):
    """All deaths are seen and all controls die first: one order of the arms among all, equally likely, has this z."""
    at_risk, excess, variance = np.array(n), 0.0, 0.0
    for arm in np.repeat([0, 1], n):
        share = at_risk[1] / at_risk.sum()
        excess, variance = excess + share - arm, variance + share * (1 - share)
        at_risk[arm] -= 1
    threshold = excess / variance**0.5 * (1 - 1e-12)
    simulator = Simulator(ada.LogRank(n, 0, np.inf), 1, 1, shape=Shape(16_384, 1))
    count = simulator.count(np.ones((1, 2)), np.ones((1, 1), bool), -threshold, 0, 16_384)[0]
    assert count / 16_384 == pytest.approx(1 / comb(sum(n), n[0]), abs=0.012)  # 4 standard errors


def test_a_trial_without_deaths_is_no_evidence():
    data = (np.ones(3, np.float32), np.ones(4, np.float32)), np.full(7, 0.5, np.float32)
    assert float(jax.jit(ada.LogRank((3, 4), 0.0, 0.5).statistic)(data, NULL)) == 0.0


def assert_certificate(n, sims):
    """The bound of a validation lies above the error of trials in NumPy, within its targets."""
    model = ada.LogRank(n, accrual=1.0, follow_up=1.0)
    grid = ada.cartesian_grid([0.9, 0.9], [1.1, 1.1], n=1, null_hypos=model.null_hypos)
    run = validated(model, 1.96, grid, max_target=0.008, global_target=0.016)
    run.verify()
    assert run.converged
    limits = [size_between(n, hazard, 1.0, 1.0, sims) for hazard in (0.9, 1.1)]
    lower, upper = np.max(limits, axis=0)
    spread = np.sqrt(upper * (1 - upper) / run.worst_tile()["n_sims"])
    assert lower <= run.bound <= upper + run.settings.validation.max_target + 5 * spread
    return run


def test_certificate():
    """With three treated patients for every control the error is over 4%."""
    assert_fails(assert_certificate((8, 24), 2**14), 0.025)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"n": 0, "accrual": 1.0, "follow_up": 1.0}, "positive whole number"),
        ({"n": (1, 2, 3), "accrual": 1.0, "follow_up": 1.0}, "two arms"),
        ({"n": 5, "accrual": -1.0, "follow_up": 1.0}, "accrual must be"),
        ({"n": 5, "accrual": np.inf, "follow_up": 1.0}, "accrual must be"),
        ({"n": 5, "accrual": 1.0, "follow_up": np.nan}, "follow_up must be"),
        ({"n": 5, "accrual": 1.0, "follow_up": [1.0, 2.0]}, "follow_up must be"),
        ({"n": 5, "accrual": 0.0, "follow_up": 0.0}, "not both be 0"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.LogRank(**arguments)
