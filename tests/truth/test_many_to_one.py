"""Binomial arms compared with one control, against sums over all outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

import adagrid as ada
from certified import assert_bounds, assert_fails
from oracles import many_to_one_error, pooled_z_table


def test_family_wise_error():
    """The error is largest where all arms respond alike, at some common rate."""
    model, threshold = ada.ManyToOne(20, 2), 1.96
    rates = expit(np.linspace(-0.3, 0.3, 201))
    truth = max(many_to_one_error(pooled_z_table(20) > threshold, 2, rate) for rate in rates)
    grid = ada.cartesian_grid([-0.3] * 3, [0.3] * 3, n=1, null_hypos=model.null_hypos)
    run = ada.ada_validate(
        model, threshold=threshold, grid=grid, method="interpolated", max_target=0.005, global_target=0.0125
    )
    assert_bounds(run, truth)
    assert_fails(run, 0.025)


@pytest.mark.parametrize("arguments", [{"n": (5, 5, 5), "treatments": 2}, {"n": 5, "treatments": (1, 2)}])
def test_bad_arguments(arguments):
    with pytest.raises(ada.errors.InvalidInputError, match="got"):
        ada.ManyToOne(**arguments)
