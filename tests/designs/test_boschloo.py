"""Boschloo's test and the unpooled z-test, against SciPy and enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import boschloo_exact, norm

import adagrid as ada
from tests.support.certified import assert_bounds, assert_fails, validated
from tests.support.oracles import binomial_size, fisher_table, unpooled_z_table

END = 1.0
GRID = ada.cartesian_grid([-END, -END], [END, END], n=1, null_hypos=["theta1 <= theta0"])


@pytest.mark.parametrize(("control", "treatment"), [(7, 10), (12, 12)])
def test_p_values_are_those_of_scipy(control, treatment):
    table = ada.Boschloo((control, treatment)).table(control, treatment)
    for c in range(control + 1):
        for t in range(treatment + 1):
            outcome = [[t, c], [treatment - t, control - c]]
            assert table[c, t] == pytest.approx(boschloo_exact(outcome, alternative="greater").pvalue, rel=3e-5)


def test_p_values_keep_every_level_and_use_more_of_it_than_fishers():
    boschloo, fisher = ada.Boschloo(20).table(20, 20), fisher_table(20)
    assert (boschloo <= fisher * (1 + 1e-9)).all()
    for level in (0.01, 0.025, 0.05, 0.1):
        assert binomial_size(fisher <= level) <= binomial_size(boschloo <= level) <= level * (1 + 1e-6)


def test_boschloo_keeps_its_level():
    n = 10
    truth = binomial_size(ada.Boschloo(n).table(n, n) < 0.05, -END, END)
    assert 0.04 < truth <= 0.05
    assert_bounds(validated(ada.Boschloo(n), 0.05, GRID), truth)


def test_unpooled_z_does_not():
    n, critical = 25, norm.isf(0.025)
    np.testing.assert_allclose(ada.UnpooledZ(n).table(n, n), unpooled_z_table(n), rtol=1e-9, atol=1e-12)
    truth = binomial_size(unpooled_z_table(n) > critical, -END, END)
    assert truth > 0.03
    run = validated(ada.UnpooledZ(n), critical, GRID)
    assert_bounds(run, truth)
    assert_fails(run, 0.025)
