"""Group-sequential tests, against published boundaries and the recursion that these come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import adagrid as ada
from tests.support.certified import (
    assert_bounds,
    assert_calibrated,
    assert_fails,
    assert_simulated,
    calibrated,
    validated,
)
from tests.support.oracles import group_sequential_error

CRITICAL = norm.isf(0.025)
# One-sided 2.5%, by number of looks: Jennison and Turnbull 1999, tables 2.1 and 2.3 (two-sided 5%), to more decimals.
POCOCK = {2: 2.17827, 3: 2.28948, 4: 2.36130, 5: 2.41318}
OBRIEN_FLEMING = {2: 1.97743, 3: 2.00404, 4: 2.02430, 5: 2.04007}
# Two-sided error of looking again and again at 5%: Armitage, McPherson and Rowe 1969.
UNADJUSTED = {2: 0.0831, 3: 0.1073, 4: 0.1262, 5: 0.1417, 10: 0.1934}
ONE_SIDED = ada.cartesian_grid([-1], [0], n=1, null_hypos=["theta0 <= 0"])


def shares(looks):
    return np.arange(1, looks + 1) / looks


@pytest.mark.parametrize("looks", UNADJUSTED)
def test_unadjusted_looks(looks):
    error = group_sequential_error(CRITICAL, shares(looks), two_sided=True)
    assert error == pytest.approx(UNADJUSTED[looks], abs=5e-5)


def error_of(shape, looks):
    """Return the one-sided error without a drift as a function of the threshold."""
    root = np.sqrt(shares(looks)) if shape == "obrien-fleming" else 1
    return lambda threshold: group_sequential_error(threshold / root, shares(looks))


@pytest.mark.parametrize("looks", POCOCK)
@pytest.mark.parametrize(("shape", "published"), [("pocock", POCOCK), ("obrien-fleming", OBRIEN_FLEMING)])
def test_published_boundaries(looks, shape, published):
    assert error_of(shape, looks)(published[looks]) == pytest.approx(0.025, abs=5e-7)


def test_certificate_of_unadjusted_looks():
    model = ada.GroupSequential(5, "pocock", two_sided=True)
    run = validated(model, CRITICAL, ada.create_grid([[0.0]], [0.02]))
    assert_bounds(run, group_sequential_error(CRITICAL, shares(5), 0.02, two_sided=True))
    assert_fails(run, 0.05)


@pytest.mark.parametrize(("shape", "published"), [("pocock", POCOCK), ("obrien-fleming", OBRIEN_FLEMING)])
def test_certificates(shape, published):
    model = ada.GroupSequential(5, shape)
    assert_bounds(validated(model, published[5], ONE_SIDED), 0.025)
    if shape == "pocock":
        assert_calibrated(calibrated(model, 0.025, ONE_SIDED), error_of(shape, 5))


def test_unequal_looks_with_futility():
    """Boundaries of one's own, a look without rejection, units, and futility bounds that make room for error."""
    times, bounds, futility = [0.3, 0.5, 0.8, 1.0], [2.9, np.inf, 2.2, 1.95], [0.3, 0.8, -np.inf]
    exact = group_sequential_error(bounds, times, futility=futility)
    assert exact < group_sequential_error(bounds, times) - 0.002
    model = ada.GroupSequential(times, bounds, futility=futility, n=40, sd=2.0)
    grid = ada.cartesian_grid([-0.5], [0], n=1, null_hypos=["theta0 <= 0"])
    assert_bounds(validated(model, 1.0, grid), exact)
    means = np.array([-0.4, 0.0, 0.1])  # in units of which the standard error is 2 / sqrt(40)
    errors = [group_sequential_error(bounds, times, mean * np.sqrt(40) / 2, futility=futility) for mean in means]
    assert_simulated(model, means[:, None], 1.0, errors, 2**17)


@pytest.mark.parametrize("exponent", [0.0, 0.25, 0.5])
def test_wang_tsiatis_shapes(exponent):
    times = np.array([0.2, 0.6, 1.0])
    own, shape = ada.GroupSequential(times, times ** (exponent - 0.5)), ada.GroupSequential(times, exponent)
    assert own._constants == shape._constants


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"looks": 0}, "positive whole number"),
        ({"looks": [0.5, 0.5, 1.0]}, "increase from above 0 to 1"),
        ({"looks": [0.5, 0.9]}, "increase from above 0 to 1"),
        ({"looks": [[0.5, 1.0]]}, "increase from above 0 to 1"),
        ({"looks": 3, "boundary": "haybittle"}, "'pocock', 'obrien-fleming'"),
        ({"looks": 3, "boundary": [2.0, 2.0]}, "3 constants above zero"),
        ({"looks": 3, "boundary": [2.0, 0.0, 2.0]}, "3 constants above zero"),
        ({"looks": 3, "boundary": [np.inf] * 3}, "not all infinite"),
        ({"looks": 3, "boundary": np.nan}, "finite number"),
        ({"looks": 3, "futility": [0.0]}, "2 numbers"),
        ({"looks": 3, "futility": [0.0, np.nan]}, "2 numbers"),
        ({"looks": 2, "futility": [0.0], "two_sided": True}, "one-sided"),
        ({"looks": 2, "n": [3, 3]}, "one mean"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.GroupSequential(**arguments)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ada.errors.InvalidInputError) as caught:
        ada.GroupSequential(3, [1.0], futility=[0.0])
    assert len(caught.value.problems) == 2
