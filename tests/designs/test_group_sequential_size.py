"""Expected sample sizes of group-sequential tests, against multivariate normal probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

import adagrid as ada
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.certified import TARGETS, validated
from tests.support.oracles import group_sequential_error, group_sequential_size

SHARES = np.arange(1, 6) / 5
# One-sided 2.5%, five looks (Jennison and Turnbull 1999).
BOUNDS = {"pocock": np.full(5, 2.41318), "obrien-fleming": 2.04007 / np.sqrt(SHARES)}
FUTILITY = [-0.5, 0.0, 0.3, 0.6]
# SAS/STAT User's Guide, SEQDESIGN, example 3: two-sided 5%, power 90%, four looks with Pocock's boundary; the expected
# sample sizes without an effect, and with the one that has that power, in percent of a trial without interim looks.
POCOCK_OF_FOUR, NO_EFFECT, EFFECT = 2.36130, 115.6074, 69.74805


def test_published_sizes():
    shares = np.arange(1, 5) / 4
    power = lambda drift: group_sequential_error(POCOCK_OF_FOUR, shares, drift, two_sided=True)
    drift = brentq(lambda drift: power(drift) - 0.9, 3, 4, xtol=1e-5)
    percent = 100 * drift**2 / (norm.isf(0.025) + norm.isf(0.1)) ** 2
    for effect, published in ((0.0, NO_EFFECT), (drift, EFFECT)):
        size = group_sequential_size(POCOCK_OF_FOUR, shares, effect, two_sided=True)
        assert percent * size == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(
    ("shape", "how", "drift"),
    [("pocock", {"futility": FUTILITY}, 0.0), ("pocock", {"two_sided": True}, 2.5), ("obrien-fleming", {}, 2.5)],
    ids=["futility", "two-sided", "one-sided"],
)
def test_expected_size(shape, how, drift):
    """Within the bounds all over a region around the drift, and the upper bound within its targets of the largest."""
    threshold = BOUNDS[shape][-1]
    model = ada.GroupSequentialSize(5, shape, threshold=threshold, **how)
    ends = drift - 0.25, drift + 0.25
    grid = ada.cartesian_grid([ends[0]], [ends[1]], n=1)
    run = validated(model, None, grid, quantity="mean")
    run.verify()
    assert run.converged
    sizes = [group_sequential_size(BOUNDS[shape], SHARES, place, **how) for place in np.linspace(*ends, 5)]
    lower, upper = run.bounds
    assert lower <= min(sizes)
    share = (max(sizes) - 0.2) / 0.8
    spread = np.sqrt(share * (1 - share) / run.worst_tile()["n_sims"])
    assert max(sizes) <= upper <= max(sizes) + 0.8 * (TARGETS["max_target"] + 5 * spread)


def test_sizes_of_unequal_looks():
    """A look without rejection, units, and the means of a fixed grid of points."""
    times, bounds, futility, sims = [0.3, 0.5, 0.8, 1.0], [2.9, np.inf, 2.2, 1.95], [0.3, 0.8, -np.inf], 131072
    model = ada.GroupSequentialSize(times, bounds, threshold=1.0, futility=futility, n=40, sd=2.0)
    drifts = np.array([-0.4, 0.1, 0.9])  # means, in units of which the standard error is 2 / sqrt(40)
    points = ada.create_grid(drifts[:, None], [1e-9])
    run = flat.validate(model, grid=points, quantity="mean", n_sims=sims, db=PandasStore())
    results = run.results().sort_values("theta0")
    for drift, estimate in zip(drifts * np.sqrt(40) / 2, results["mean_estimate"], strict=True):
        size = group_sequential_size(bounds, times, drift, futility=futility)
        assert abs(estimate - size) < 5 * 0.7 * np.sqrt(0.25 / sims)


def test_a_trial_ends_where_it_rejects_or_is_futile_first():
    """By hand: scores with a boundary of 2 at each of three looks, futility at 0, and a mean of zero."""
    model = ada.GroupSequentialSize([0.5, 0.75, 1.0], "pocock", threshold=2.0, futility=[0.0, 0.0])
    trials = {(3, 3, 3): 0.5, (1, 3, -3): 0.75, (0, 3, 3): 0.5, (1, -1, 3): 0.75, (1, 2, 3): 1.0, (1, 1, -3): 1.0}
    truth = np.ones(1, bool)
    for z, size in trials.items():
        assert float(model.statistic(tuple(np.float32(each) for each in z), truth)) == size


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"looks": 1, "threshold": 2.0}, "two or more"),
        ({"looks": 3, "threshold": np.inf}, "finite"),
        ({"looks": 3, "threshold": [2.0, 2.0]}, "one finite number"),
        ({"looks": 3, "threshold": "high"}, "must be a number"),
        ({"looks": 3, "threshold": 2.0, "futility": [0.0]}, "2 numbers"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(ada.errors.InvalidInputError, match=rule):
        ada.GroupSequentialSize(**arguments)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ada.errors.InvalidInputError) as caught:
        ada.GroupSequentialSize(1, threshold=np.nan)
    assert len(caught.value.problems) == 2
