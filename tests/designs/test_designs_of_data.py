"""Designs of one function: the family draws the data, and the statistic sees nothing else."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from typing_extensions import override

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.errors import InvalidInputError, ModelError
from adagrid.testing import ModelContract
from tests.support import flat

GRID = ada.cartesian_grid([-0.5, -0.5], [0.5, 0.5], n=1, null_hypos=["theta1 <= theta0"])


class TwoMeans(ada.Design):
    """The README's: two arms, compared by their means."""

    family = ada.Normal(sd=1.0, n=(20, 10))
    reject_when = "large"

    def statistic(self, data, null_truth):
        control, treatment = data
        return (treatment.mean() - control.mean()) / (1 / 20 + 1 / 10) ** 0.5


class Responders(ada.Design):
    """Counts by comparing one uniform number with all tails, where the family draws patient by patient."""

    family = ada.Binomial(5)
    reject_when = "large"
    share = 1.0

    @override
    def draw(self, key):
        return jax.random.uniform(key)

    @override
    def data(self, draw, theta):
        counts = jnp.arange(5.0)
        at_most = jax.scipy.special.betainc(5 - counts, counts + 1, jax.nn.sigmoid(-theta[0] * self.share))
        return (draw > at_most).sum()

    @override
    def sufficient(self, data):
        return data[None]

    def statistic(self, data, null_truth):
        return data


class OtherResponders(Responders):
    """Whose data have the law of other parameters."""

    share = 0.5


@pytest.mark.parametrize("design", [TwoMeans, Responders])
class TestDesigns(ModelContract):
    @pytest.fixture
    def model(self, design):
        return design()

    @pytest.fixture
    def theta(self, design):
        return np.array([[0.0, 0.5], [-1.0, 2.0]]) if design is TwoMeans else np.array([[-1.0], [0.4]])


def test_the_contract_refuses_data_of_another_law():
    with pytest.raises(AssertionError):
        ModelContract().test_data_have_the_law_of_the_family(OtherResponders(), np.array([[-1.0], [0.4]]))


def test_errors_are_those_of_the_design():
    """At two points, against the normal distribution function."""
    theta, sims = np.array([[0.1, 0.1], [0.0, 0.3]]), 2**15
    simulator = Simulator(TwoMeans(), 0, 1, shape=Shape(4096, 2))
    found = simulator.count(theta, np.ones((2, 1), bool), -1.0, 0, sims) / sims
    exact = norm.sf(1.0 - (theta[:, 1] - theta[:, 0]) / 0.15**0.5)
    assert (np.abs(found - exact) < 5 * np.sqrt(exact * (1 - exact) / sims)).all()


def test_a_job_certifies_and_does_not_refute_it():
    run = flat.ada_validate(
        TwoMeans, threshold=norm.isf(0.025), grid=GRID, method="interpolated", max_target=0.01, global_target=0.02
    )
    assert run.status is ada.Status.CONVERGED
    assert 0.025 <= run.bound <= 0.045
    assert "def statistic(self, data, null_truth):" in str(run.table("config")["record"][0]["model"])


class Faulty(ada.Design):
    """A design that fails in a chosen way."""

    family = ada.Normal(n=(3, 4))

    def __init__(self, how):
        self.how = how

    def statistic(self, data, null_truth):
        control, treatment = data
        match self.how:
            case "beyond nulls":
                return jnp.where(null_truth[1], control.mean(), jnp.inf)
            case "beyond patients":
                return control[0] + treatment[4]
            case "beyond arms":
                return data[2].mean()
            case "beyond nulls, sorted":  # which arrays of NumPy refuse
                return jnp.where(null_truth[1], control[jnp.argsort(control)][0], jnp.inf)
            case "mask":
                return control[control > 0].mean()
            case "vector":
                return control
            case "if":
                return control[0] if control[0] > 0 else 0.0
        raise RuntimeError("broken design")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("beyond nulls", ["Faulty.statistic reads beyond", "size 1", "null_truth 1", r"\(\(3,\), \(4,\)\)"]),
        ("beyond nulls, sorted", ["Faulty.statistic reads beyond", "size 1", "null_truth 1"]),
        ("mask", ["Faulty.statistic raised NonConcreteBooleanIndexError", "In a design use jnp.where"]),
        ("beyond patients", ["Faulty.statistic reads beyond", "index 4", r"\(\(3,\), \(4,\)\)"]),
        ("beyond arms", ["Faulty.statistic reads beyond", "tuple index"]),
        ("vector", ["Faulty.statistic", "scalar", r"\(3,\)"]),
        ("if", ["Faulty.statistic", "TracerBool", "jnp.where"]),
        ("raises", ["Faulty.statistic", "RuntimeError: broken design"]),
    ],
)
def test_faulty_designs(how, words):
    with pytest.raises(ModelError, match="(?s)" + ".*".join(words)):
        flat.ada_validate(Faulty(how), threshold=1.0, grid=GRID)


class TwoFunctions(ada.Design):
    """Written in the other form."""

    family = ada.Normal(n=(3, 4))

    def statistic(self, draw, theta, null_truth):
        return draw[0][0] + theta[0]


class OneFunction(ada.Model):
    """Written in the other form."""

    family = ada.Normal(n=(3, 4))

    def draw(self, key):
        return jax.random.normal(key)

    def statistic(self, data, null_truth):
        return data


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (TwoFunctions, r"TwoFunctions.statistic must take \(data, null_truth\), but takes \(draw, theta, null_truth\)"),
        (OneFunction, r"OneFunction.statistic must take \(draw, theta, null_truth\), but takes \(data, null_truth\)"),
    ],
)
def test_both_forms_are_told_apart(design, words):
    with pytest.raises(InvalidInputError, match=words):
        flat.ada_validate(design, threshold=1.0, grid=GRID)


def test_families_that_do_not_draw_need_the_other_form():
    class Own(ada.Family):
        dim = 2
        coordinates = "means"

        def log_partition(self, theta):
            return (theta**2).sum(axis=-1) / 2

    class OfOwn(TwoMeans):
        family = Own()

    with pytest.raises(ModelError, match=r"OfOwn.draw raised ModelError: Own does not say how its data are drawn"):
        flat.ada_validate(OfOwn(), threshold=1.0, grid=GRID)


def test_means_of_statistics():
    """A statistic whose mean is bounded is rounded at random by the engine."""

    class Share(Responders):
        value_range = (0.0, 1.0)

        def statistic(self, data, null_truth):
            return data / 5

    run = flat.ada_validate(
        Share, quantity="mean", grid=ada.cartesian_grid([-1.0], [0.0], n=1), method="interpolated", global_target=0.05,
        max_target=0.05,
    )  # fmt: skip
    assert 0.5 <= run.bound <= 0.56
