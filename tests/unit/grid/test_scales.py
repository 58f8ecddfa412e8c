"""Scales: what is stated of response rates, event rates and means is true of the natural parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

import adagrid as ada
from adagrid.errors import InvalidInputError
from tests.support import flat

LOWER, UPPER = [0.1, 0.2], [0.6, 0.7]


def test_limits_are_carried_over():
    tiles = ada.cartesian_grid(LOWER, UPPER, n=1, scale="probability").tiles
    np.testing.assert_allclose(expit(tiles.theta - tiles.radius)[0], LOWER)
    np.testing.assert_allclose(expit(tiles.theta + tiles.radius)[0], UPPER)
    tiles = ada.cartesian_grid([0.5, -1], [2, 1], n=1, scale=["rate", "mean"]).tiles
    np.testing.assert_allclose((tiles.theta - tiles.radius)[0], [np.log(0.5), -1], atol=1e-12)
    tiles = ada.create_grid([[0.3]], [0.1], scale="probability").tiles
    np.testing.assert_allclose(expit(tiles.theta + tiles.radius)[0], [0.4])


RULES = {
    "x <= 0.35": ("probability", lambda p: p[:, 0] <= 0.35),
    "0.5 < 2 * y": ("probability", lambda p: p[:, 1] >= 0.25),
    "y <= x": ("probability", lambda p: p[:, 1] <= p[:, 0]),
    "y <= x + 0.1": ("probability", lambda p: p[:, 1] <= p[:, 0] + 0.1),
    "2 * x - 2 * y >= 0.2": ("probability", lambda p: p[:, 0] - p[:, 1] >= 0.1),
    "y <= 1.5 * x": ("rate", lambda p: p[:, 1] <= 1.5 * p[:, 0]),
    "y >= 0.3": ("rate", lambda p: p[:, 1] >= 0.3),
    "y <= x - 0.1": ("mean", lambda p: p[:, 1] <= p[:, 0] - 0.1),
}


@pytest.mark.parametrize("text", RULES)
@given(at=st.tuples(st.floats(0.1, 0.6), st.floats(0.2, 0.7)))
def test_hypotheses_say_the_same(text, at):
    scale, rule = RULES[text]
    natural = {"probability": logit, "rate": np.log, "mean": np.asarray}[scale]
    (hypothesis,) = ada.cartesian_grid(LOWER, UPPER, n=1, null_hypos=[text], scale=scale).hypotheses
    theta = natural(np.array([at]))
    distance = hypothesis.dist(theta)[0]
    if abs(distance) > 1e-9:
        assert (distance > 0) == rule(np.array([at]))[0]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"scale": "percent"}, "scale must be one of 'natural', 'mean', 'probability', 'rate'"),
        ({"scale": ["rate"]}, "or one of these for each of 2 parameters"),
        ({"scale": "probability", "null_hypos": ["x <= 1.2"]}, r"A probability must be above 0 and below 1.* 1\.2"),
        ({"scale": "probability", "null_hypos": ["x + y <= 0.5"]}, "cannot be stated in scale="),
        ({"scale": "rate", "null_hypos": ["y <= x + 1"]}, "two rates by their ratio"),
        ({"scale": ["rate", "probability"], "null_hypos": ["y <= x"]}, "cannot be stated in scale="),
    ],
)
def test_what_cannot_be_stated(how, message):
    with pytest.raises(InvalidInputError, match=message):
        ada.cartesian_grid(LOWER, UPPER, n=1, **how)


def test_limits_that_do_not_exist():
    with pytest.raises(InvalidInputError, match=r"A probability must be above 0 and below 1.*theta_max\[0\]=1"):
        ada.cartesian_grid([0.1], [1.0], scale="probability")
    with pytest.raises(InvalidInputError, match=r"A rate must be above 0, so .*theta_min\[0\]=0"):
        ada.cartesian_grid([0.0], [1.0], scale="rate")


class TestJobs:
    def test_rates_are_not_taken_for_logits(self):
        with pytest.raises(InvalidInputError, match=r"are logits.*Say scale='probability'"):
            flat.validate(ada.FisherExact(10), threshold=0.05, grid=ada.cartesian_grid(LOWER, UPPER, n=1), n_sims=16)
        grid = ada.cartesian_grid(LOWER, UPPER, n=1, scale="probability")
        run = flat.validate(ada.FisherExact(10), threshold=0.05, grid=grid, n_sims=16)
        assert "response rates (0.100, 0.200) to" in run.summary()
        assert "response rates (0.600, 0.700)" in run.summary()

    def test_a_scale_that_the_family_lacks(self):
        grid = ada.cartesian_grid([0.1], [1.0], n=1, scale="rate")
        with pytest.raises(InvalidInputError, match=r"scale='rate' of theta0 does not fit Normal.*Use 'mean'"):
            flat.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=16)


def test_grids_that_no_machine_holds_are_refused_at_once():
    with pytest.raises(InvalidInputError, match=r"n=20 x 20 x .*, which are 25,600,000,000 tiles"):
        ada.cartesian_grid([-1] * 8, [1] * 8, n=20)


@pytest.mark.parametrize("design", [ada.Dunnett(1, 20), ada.TwoExponentials(5)])
def test_differences_of_probabilities_are_of_parameters_that_are_logits(design):
    grid = ada.cartesian_grid([0.1, 0.1], [1, 1], n=1, null_hypos=[ada.RiskDifference(margin=-0.1)])
    with pytest.raises(InvalidInputError, match="takes theta0 for the logit of a probability, but the parameters"):
        flat.validate(design, threshold=2.0, grid=grid, n_sims=64)
