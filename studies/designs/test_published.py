"""Certificates of all published cases; tests/designs has one or two of each design, and all the numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import chi2, t

import adagrid as ada
from tests.designs import (
    test_chi_squared_variance,
    test_dunnett,
    test_group_sequential,
    test_group_sequential_size,
    test_group_sequential_t,
    test_log_rank,
    test_t_test,
    test_two_exponentials,
)
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails, calibrated, validated
from tests.support.oracles import dunnett_error, group_sequential_error


def test_upper_tail_of_chi_squared():
    model = ada.ChiSquaredVariance(10, 4.0)
    assert_calibrated(calibrated(model, 0.025, test_chi_squared_variance.region(model, 4.0)), chi2(9).sf)


def test_wald_test_of_exponentials():
    model = ada.TwoExponentials(20, "wald")
    assert_bounds(validated(model, 1.96, test_two_exponentials.region(model)), test_two_exponentials.WALD_SIZE)


@pytest.mark.parametrize("n", test_t_test.CRITICAL)
def test_critical_values_of_t(n):
    model = ada.TTest(n)
    grid = test_t_test.region(model)
    assert_bounds(validated(model, test_t_test.CRITICAL[n], grid), 0.025)
    broken = validated(model, test_t_test.NORMAL, grid)
    assert_bounds(broken, test_t_test.WITH_NORMAL[n])
    assert_fails(broken, 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), lambda threshold: t.sf(threshold, n - 1))


@pytest.mark.parametrize("treatments", test_dunnett.DUNNETT)
def test_dunnetts_constants(treatments):
    model = ada.Dunnett(treatments)
    grid = test_dunnett.region(model)
    run = validated(model, test_dunnett.CRITICAL, grid)
    assert_bounds(run, test_dunnett.UNADJUSTED[treatments])
    assert_fails(run, 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), lambda threshold: dunnett_error(threshold, treatments))


@pytest.mark.parametrize("looks", test_group_sequential.UNADJUSTED)
def test_unadjusted_looks(looks):
    model = ada.GroupSequential(looks, "pocock", two_sided=True)
    critical, shares = test_group_sequential.CRITICAL, test_group_sequential.shares(looks)
    run = validated(model, critical, ada.create_grid([[0.0]], [0.02]))
    assert_bounds(run, group_sequential_error(critical, shares, 0.02, two_sided=True))
    assert_fails(run, 0.05)


@pytest.mark.parametrize("looks", test_group_sequential.POCOCK)
@pytest.mark.parametrize("shape", ["pocock", "obrien-fleming"])
def test_boundaries(looks, shape):
    model, grid = ada.GroupSequential(looks, shape), test_group_sequential.ONE_SIDED
    error = test_group_sequential.error_of(shape, looks)
    published = test_group_sequential.POCOCK if shape == "pocock" else test_group_sequential.OBRIEN_FLEMING
    assert_bounds(validated(model, published[looks], grid), 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), error)


@pytest.mark.parametrize(
    ("shape", "how", "drift"),
    list(
        itertools.product(
            test_group_sequential_size.BOUNDS,
            ({}, {"futility": test_group_sequential_size.FUTILITY}, {"two_sided": True}),
            (0.0, 2.5),
        )
    ),
)
def test_expected_sizes(shape, how, drift):
    test_group_sequential_size.test_expected_size(shape, how, drift)


@pytest.mark.parametrize(("n", "boundary"), [([3, 4, 5, 9], [3.0, np.inf, 2.5, 2.2]), ([2, 3], 3.0)])
def test_looks_with_t(n, boundary):
    test_group_sequential_t.assert_as_in_numpy(n, boundary)


@pytest.mark.parametrize(("accrual", "follow_up", "theta"), [(24.0, 6.0, (0.05, 0.06)), (0.0, np.inf, (1.0, 0.6))])
def test_log_rank_test_of_simulated_trials(accrual, follow_up, theta):
    test_log_rank.assert_as_in_numpy((15, 10), accrual, follow_up, theta)


@pytest.mark.parametrize("n", [(2, 2), (3, 2), (2, 4), (5, 2)])
def test_largest_z_of_the_log_rank_test(n):
    test_log_rank.test_the_largest_z_counts_when_the_threshold_is_beside_it(n)


@pytest.mark.parametrize("n", [(20, 20), (8, 24)])
def test_certificates_of_the_log_rank_test(n):
    """Near 2.5% with equal arms; with three treated patients for every control, over 4%."""
    test_log_rank.assert_certificate(n, 2**16)
