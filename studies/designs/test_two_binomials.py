"""All published sizes, over a larger region with the usual targets, and Boschloo's test found by tiles."""

from __future__ import annotations

import pytest

import adagrid as ada
from tests.support.oracles import fisher_table, pooled_z_table
from tests.support.two_binomials import NULL, assert_calibrated_fisher_is_boschloo, assert_size

GRID = ada.cartesian_grid([-3, -3], [3, 3], n=8, null_hypos=NULL)


@pytest.mark.parametrize(("n", "size"), [(10, 0.021095), (12, 0.032016), (20, 0.026629)])
def test_fisher_size(n, size):
    assert_size(ada.FisherExact(n), 0.05, fisher_table(n) < 0.05, size, GRID)


@pytest.mark.parametrize(("n", "size"), [(12, 0.032016), (25, 0.032463)])
def test_pooled_z_size(n, size):
    assert_size(ada.PooledZ(n), 1.96, pooled_z_table(n) > 1.96, size, GRID)


@pytest.mark.parametrize(
    ("n", "alpha", "above", "at_most"), [(10, 0.05, 0.084901, 0.089448), (12, 0.025, 0.046584, 0.049766)]
)
def test_calibrated_fisher_is_boschloo(n, alpha, above, at_most):
    assert_calibrated_fisher_is_boschloo(n, alpha, above, at_most, GRID)
