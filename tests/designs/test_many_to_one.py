"""Binomial arms compared with one control, against sums over all outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

import adagrid as ada
from tests.support import flat
from tests.support.certified import assert_bounds, assert_fails, validated
from tests.support.oracles import many_to_one_error, pooled_z_table


def test_family_wise_error():
    """The error is largest where all arms respond alike, at some common rate."""
    model, threshold = ada.ManyToOne(20, 2), 1.96
    rates = expit(np.linspace(-0.3, 0.3, 201))
    truth = max(many_to_one_error(pooled_z_table(20) > threshold, 2, rate) for rate in rates)
    grid = ada.cartesian_grid([-0.3] * 3, [0.3] * 3, n=1, null_hypos=model.null_hypos)
    run = validated(model, threshold, grid, max_target=0.005, global_target=0.0125)
    assert_bounds(run, truth)
    assert_fails(run, 0.025)


def test_one_treatment_is_the_pooled_z_test_also_beside_attainable_values():
    """A threshold just below a value that z can have: rounded to single precision, z would no longer be above it."""
    z = ada.PooledZ(20)
    attainable = np.unique(z.table(20, 20))
    value = attainable[np.abs(attainable - 1.58311896715).argmin()]
    assert np.float32(value) < np.nextafter(value, 0)
    grid = ada.cartesian_grid([-0.05, -0.05], [0.05, 0.05], n=1, null_hypos=["theta1 <= theta0"])
    how = {"threshold": np.nextafter(value, 0), "grid": grid, "n_sims": 1024}
    assert flat.validate(ada.ManyToOne(20, 1), **how).bound == flat.validate(z, **how).bound


@pytest.mark.parametrize("arguments", [{"n": (5, 5, 5), "treatments": 2}, {"n": 5, "treatments": (1, 2)}])
def test_bad_arguments(arguments):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.ManyToOne(**arguments)
