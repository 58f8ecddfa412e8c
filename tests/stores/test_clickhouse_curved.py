"""A job whose refined tiles are pruned keeps all relations on ClickHouse servers, too, and has the same answer."""

from __future__ import annotations

from jobcases import assert_same, run_case, tables

import adagrid as ada


def test_curved_boundaries(engine):
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=[ada.RiskDifference(margin=0.03)], depth=1)
    expected = tables(run_case("validate_fisher", grid=grid, n_steps=4))
    with run_case("validate_fisher", grid=grid, n_steps=4, db=engine()) as run:
        run.verify()
        assert_same(run, expected)
