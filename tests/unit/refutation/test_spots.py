"""Spots: limits between certified points are never below the truth, and evidence against a truth is fair."""

import numpy as np
import pytest
from scipy.stats import binom, norm

import adagrid as ada
from adagrid.grid.simplices import Simplices
from adagrid.refutation.spots import LEVEL, exceeded, log_evidence_against, spots_in_cells, spots_in_tiles

FAMILY = ada.Normal(sd=1.0, n=1)
N = 10_000


def _error(theta):
    return norm.sf(1.96 - theta[..., 0])


def _cells(n):
    ends = np.linspace(-2, 1, n + 1)
    vertices = np.stack([ends[:-1], ends[1:]], axis=1)[:, :, None]
    return Simplices(vertices, np.ones((n, 1), bool), np.arange(1, n + 1, dtype=np.uint64))


@pytest.mark.parametrize("n_cells", [1, 3, 20])
def test_limits_in_cells_are_above_the_truth_and_close(n_cells):
    cells = _cells(n_cells)
    events = np.rint(N * _error(cells.vertices)).astype(int)
    found = spots_in_cells(FAMILY, cells, events, np.full(events.shape, N), 40, np.array([0.1, 0.6]))
    theta, truth, limit = found.theta, found.null_truth, found.allowed
    assert truth.shape == (40, 1)
    assert ((theta >= -2) & (theta <= 1)).all()
    assert (limit >= _error(theta)).all()
    if n_cells == 20:  # beyond five standard errors
        assert (limit <= _error(theta) + 8 * np.sqrt(limit / N) + 0.002).all()


def test_limits_in_tiles_are_above_the_truth():
    tiles = ada.cartesian_grid([-2], [1], n=16).tiles.with_n_sims(N)
    events = np.rint(N * _error(tiles.theta)).astype(int)
    found = spots_in_tiles(FAMILY, tiles, events, 40, np.array([0.1, 0.6]))
    theta, limit = found.theta, found.allowed
    assert (limit >= _error(theta)).all()
    assert len(np.unique(np.floor((theta + 2) / 3 * 16))) == 16  # every tile is visited


def test_spots_of_a_cell_are_spread_evenly():
    corners = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    cells = Simplices(corners, np.ones((1, 1), bool), np.array([1], np.uint64))
    theta = spots_in_cells(
        ada.Normal(sd=1.0, n=(1, 1)), cells, np.ones((1, 3), int), np.full((1, 3), 9), 2000, np.array([0.3, 0.1, 0.8])
    ).theta
    np.testing.assert_allclose(theta.mean(axis=0), 1 / 3, atol=0.01)
    assert (theta.sum(axis=1) <= 1 + 1e-12).all()


def test_the_truth_is_exceeded_rarely():
    k = np.arange(1025)
    n = np.full(1025, 1024)
    for p in (0.001, 0.025, 0.5):
        beyond = np.array([exceeded(np.array([p]), k[i : i + 1], n[:1])[0] for i in k])
        assert binom.pmf(k, 1024, p)[beyond].sum() <= LEVEL / 2
        assert beyond[-1]


@pytest.mark.parametrize("p", [0.02, 0.3])
def test_evidence_against_computed_errors_is_fair(p):
    """Its mean is 1 where the error is right: likelihood ratios, summed over all outcomes."""
    n = 40
    k = np.arange(n + 1)
    values = [log_evidence_against(np.array([p]), np.array([i]), np.array([n]), np.array([0])) for i in k]
    assert np.sum(binom.pmf(k, n, p) * np.exp(values)) == pytest.approx(1)


def test_evidence_of_ties_never_counts_against_an_error():
    probability, n_sims = np.full(5, 0.05), np.full(5, 1000)
    plain = log_evidence_against(probability, np.full(5, 90), n_sims, np.zeros(5, int))
    tied = log_evidence_against(probability, np.full(5, 90), n_sims, np.full(5, 60))
    assert plain > np.log(1e6)
    assert tied < 0


def test_impossible_events_are_conclusive():
    assert log_evidence_against(np.zeros(1), np.ones(1, int), np.full(1, 9), np.zeros(1, int)) == np.inf
    assert log_evidence_against(np.ones(1), np.full(1, 8), np.full(1, 9), np.zeros(1, int)) == np.inf
    assert log_evidence_against(np.ones(1), np.full(1, 9), np.full(1, 9), np.zeros(1, int)) <= 0
