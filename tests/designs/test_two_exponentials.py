"""Two arms of exponential waiting times, against the F distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f

import adagrid as ada
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.certified import (
    assert_bounds,
    assert_calibrated,
    assert_fails,
    assert_simulated,
    calibrated,
    validated,
)

# One-sided 2.5% with 20 per arm: F's critical value with 40 and 40 degrees of freedom, and the size of Wald's test.
F_CRITICAL, WALD_SIZE = 1.87520, 0.02664


def wald_size(n):
    control, treatment = n
    return f.sf(np.exp(1.96 * np.sqrt(1 / control + 1 / treatment)), 2 * treatment, 2 * control)


def region(model):
    return ada.cartesian_grid([0.8, 0.8], [1.2, 1.2], n=1, null_hypos=model.null_hypos)


def test_f_test():
    assert f.isf(0.025, 40, 40) == pytest.approx(F_CRITICAL, abs=5e-6)
    model = ada.TwoExponentials(20)
    grid = region(model)
    assert_bounds(validated(model, F_CRITICAL, grid), 0.025)
    assert_calibrated(calibrated(model, 0.025, grid), lambda threshold: f.sf(threshold, 40, 40))


def test_wald_test():
    """Its size is .02664, and with 3 and 5 patients plainly too large."""
    assert wald_size((20, 20)) == pytest.approx(WALD_SIZE, abs=5e-6)
    model = ada.TwoExponentials((3, 5), "wald")
    run = validated(model, 1.96, region(model))
    assert_bounds(run, wald_size((3, 5)))
    assert_fails(run, 0.025)


def test_wald_test_is_shown_to_fail():
    """With 20 per arm: where hazards are equal its error is above 2.5% with confidence, and that of the F test is not.

    A size of .02664 is 5.2 standard errors of 262,144 simulations above .025, the lower limit 2.3 below the estimate.
    """
    for test, threshold, size in (("wald", 1.96, WALD_SIZE), ("f", F_CRITICAL, 0.025)):
        model = ada.TwoExponentials(20, test)
        equal = ada.create_grid([[1.0, 1.0]], [1e-6, 1e-6], null_hypos=model.null_hypos)
        run = flat.validate(model, threshold=threshold, grid=equal, n_sims=2**18, db=PandasStore())
        run.verify()
        tile = run.worst_tile()
        assert tile["null_truth0"]
        assert tile["tie_lower"] <= tile["tie_point_lower"] < size < tile["tie_point_bound"] <= tile["tie_bound"]
        assert (tile["tie_lower"] > 0.025) == (test == "wald")


def test_errors_at_other_hazards():
    """Unequal arms and hazards."""
    theta = np.array([[1.0, 1.0], [40.0, 50.0], [0.02, 0.015]])
    assert_simulated(ada.TwoExponentials((7, 30)), theta, 2.0, f.sf(2.0 * theta[:, 1] / theta[:, 0], 60, 14))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"n": 0}, "positive whole number"),
        ({"n": (3, 4, 5)}, "two arms"),
        ({"n": 5, "test": "score"}, "'f' or 'wald'"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.TwoExponentials(**arguments)
