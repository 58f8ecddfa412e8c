"""What plans of interpolated jobs are made of."""

from __future__ import annotations

import numpy as np
import pytest

import adagrid as ada
from adagrid.estimation import clopper_pearson_upper
from adagrid.methods.cells import planning, statistics
from adagrid.methods.cells.fisher import FisherCoordinates
from adagrid.methods.cells.planning import sims_for_limit


def test_shares_of_cells_are_never_more_than_one():
    rng = np.random.default_rng(0)
    vertex = rng.integers(0, 40, (300, 4))
    share = planning.shares(vertex, rng.integers(64, 10**6, 40))
    assert (share[vertex].sum(axis=1) <= 1 + 1e-12).all()
    assert (share > 0).all()


@pytest.mark.parametrize("delta", [0.01, 1e-4])
def test_sims_for_limit(delta):
    """With the number of simulations planned, the limit of an estimate on the expected value is about the target."""
    rate, upper = np.array([0.001, 0.02, 0.025, 0.3]), np.array([0.004, 0.025, 0.0255, 0.31])
    sims = np.ceil(sims_for_limit(rate, upper, delta))
    limit = clopper_pearson_upper(np.round(rate * sims), sims, delta)
    np.testing.assert_allclose(limit, upper, rtol=0.05)
    assert sims_for_limit(np.array([0.02]), np.array([0.02]), 0.01)[0] == np.inf


def test_fisher_coordinates():
    """For binomial arms they are the arcsine transform; differences of one are one standard error."""
    family = ada.Binomial((50, 20))
    fisher = FisherCoordinates(family, np.array([-2.0, -1.0]), np.array([2.0, 3.0]))
    theta = np.random.default_rng(0).uniform([-2, -1], [2, 3], (50, 2))
    arcsine = lambda t: 2 * np.sqrt([50, 20]) * np.arcsin(np.sqrt(1 / (1 + np.exp(-t))))
    np.testing.assert_allclose(fisher(theta), arcsine(theta) - arcsine(np.array([-2.0, -1.0])), atol=1e-3)
    np.testing.assert_allclose(fisher.inverse(fisher(theta)), theta, atol=1e-9)


def test_counts_below():
    """Counts from the kept order statistics are within one step of the true ones."""
    rng = np.random.default_rng(0)
    samples = [np.sort(rng.normal(size=n)) for n in (1024, 50_000)] + [np.sort(rng.integers(0, 30, 2048) / 30.0)]
    thresholds = np.linspace(-3, 0.5, 50)
    for sample in samples:
        ranks = statistics.order_statistic_ranks(len(sample), 0.025)[None]
        counts = statistics.counts_below(sample[ranks - 1], ranks, thresholds)[0]
        true = np.searchsorted(sample, thresholds)
        reach, step = ranks[0, -1], np.diff(ranks[0]).max()
        assert (np.abs(counts - np.minimum(true, reach)) <= step).all()
        assert (np.diff(counts) >= 0).all()
        assert reach >= 0.05 * len(sample)
