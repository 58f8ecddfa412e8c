"""Group-sequential tests, against published boundaries and the recursion that these come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import adagrid as ada
from tests.support.certified import assert_bounds, assert_calibrated, assert_fails
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
    grid = ada.create_grid([[0.0]], [0.02])
    model = ada.GroupSequential(looks, "pocock", two_sided=True)
    run = ada.ada_validate(model, threshold=CRITICAL, grid=grid, method="interpolated")
    assert_bounds(run, group_sequential_error(CRITICAL, shares(looks), 0.02, two_sided=True))
    assert_fails(run, 0.05)


@pytest.mark.parametrize("looks", POCOCK)
@pytest.mark.parametrize("shape", ["pocock", "obrien-fleming"])
def test_published_boundaries(looks, shape):
    published = {"pocock": POCOCK, "obrien-fleming": OBRIEN_FLEMING}[shape][looks]
    model, root = ada.GroupSequential(looks, shape), np.sqrt(shares(looks))
    error = lambda threshold: group_sequential_error(threshold / (root if shape != "pocock" else 1), shares(looks))
    assert error(published) == pytest.approx(0.025, abs=5e-7)
    assert_bounds(ada.ada_validate(model, threshold=published, grid=ONE_SIDED, method="interpolated"), 0.025)
    if looks == 5:
        assert_calibrated(ada.ada_calibrate(model, alpha=0.025, grid=ONE_SIDED, method="interpolated"), error)


def test_unequal_looks_with_futility():
    """Boundaries of one's own, a look without rejection, units, and futility bounds that make room for error."""
    times, bounds, futility = [0.3, 0.5, 0.8, 1.0], [2.9, np.inf, 2.2, 1.95], [0.3, 0.8, -np.inf]
    exact = group_sequential_error(bounds, times, futility=futility)
    assert exact < group_sequential_error(bounds, times) - 0.002
    model = ada.GroupSequential(times, bounds, futility=futility, n=40, sd=2.0)
    grid = ada.cartesian_grid([-0.5], [0], n=1, null_hypos=["theta0 <= 0"])
    assert_bounds(ada.ada_validate(model, threshold=1.0, grid=grid, method="interpolated"), exact)
    drifts = np.array([-0.4, 0.1])  # means, in units of which the standard error is 2 / sqrt(40)
    points = ada.create_grid(drifts[:, None], [1e-9])
    results = ada.validate(model, threshold=1.0, grid=points, n_sims=131072).results().sort_values("theta0")
    for drift, estimate in zip(drifts * np.sqrt(40) / 2, results["tie_estimate"], strict=True):
        error = group_sequential_error(bounds, times, drift, futility=futility)
        assert abs(estimate - error) < 5 * np.sqrt(error / 131072)


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
