"""Bets against a family: fair at worst if the family is right, and blind to what has not happened yet."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import binom

import adagrid as ada
from adagrid.refutation.bet import combined, log_affinity, wager
from studies.refutation.designs import RIGHT, WRONG


@pytest.mark.parametrize("half", [0.1, 1.0, 2.5])
def test_no_event_is_likelier_at_the_middle_than_allowed(half):
    # all events of a count of 3, for which the inequality is an equality at the ends of the range of the count
    middle = 0.3
    rho = np.exp(log_affinity(ada.Binomial(3), np.array([middle]), np.array([half])))
    a, m, b = (binom.pmf(np.arange(4), 3, expit(middle + side * half)) for side in (-1, 0, 1))
    for event in itertools.product([False, True], repeat=4):
        chosen = list(event)
        allowed = np.sqrt(a[chosen].sum() * b[chosen].sum()) / rho
        assert m[chosen].sum() <= allowed * (1 + 1e-12)
    assert_allclose(m[0], np.sqrt(a[0] * b[0]) / rho)


def test_log_affinity_counts_standard_errors():
    assert_allclose(log_affinity(ada.Normal(sd=2.0, n=16), np.array([0.7]), np.array([3 * 2 / 4])), -(3**2) / 2)


class TestWager:
    @pytest.fixture(params=[0, 1, 2])
    def statistics(self, request):
        return np.random.default_rng(request.param).normal(size=(3, 512)).round(1)

    def test_blind_to_the_block_it_bets_on(self, statistics):
        # events are chosen before a block, so its order cannot matter; what came before matters
        shuffled = statistics.copy()
        for row in shuffled:
            np.random.default_rng(9).shuffle(row[256:])
        assert_allclose(wager(shuffled, -1.5).log_wealth, wager(statistics, -1.5).log_wealth)

    def test_order_alone_matters(self, statistics):
        assert wager(np.exp(statistics), -1.5).log_wealth == wager(statistics, -1.5).log_wealth

    def test_infinite_statistics(self, statistics):
        extreme = np.where(statistics > 1, np.inf, np.where(statistics < -1, -np.inf, statistics))
        assert np.isfinite(wager(extreme, -1.5).log_wealth)

    def test_loses_little(self, statistics):
        # three samples of one distribution contradict nothing if the distance is large
        assert -np.log(7) - 1e-9 <= wager(statistics, -2.0).log_wealth <= 0

    def test_learns_only_at_first(self, statistics):
        assert wager(statistics[:, :64], -1.5).log_wealth == 0


def test_combined_evidence():
    assert_allclose(np.exp(combined(np.log([2.0, 0.5, 1.5]))), (4 / 3 + 1.5) / 2)
    assert combined(np.empty(0)) == 0


@pytest.mark.parametrize("name", RIGHT)
def test_fair_at_worst(name):
    values = np.exp([RIGHT[name].log_evidence(seed, 8, 256) for seed in range(4)])
    assert values.max() < 100
    assert values.mean() < 1 + 3 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_families_are_refuted(name):
    weak = name in ("n = 133 for 200, in a range", "n = 133 for 200, z", "1.2 times the sd")
    assert WRONG[name].log_evidence(1, 8, 4096 if weak else 512) >= np.log(1e6)
