"""Numbers of any type will do wherever a number is asked for; text and truth values never."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError

TYPES = {
    "int": int, "float": float, "decimal": Decimal, "fraction": Fraction, "int64": np.int64, "uint8": np.uint8,
    "float32": np.float32, "float64": np.float64, "array": np.array,
}  # fmt: skip
NO_NUMBERS = {"text": str, "text of NumPy": np.str_, "truth": lambda value: True, "nothing": lambda value: None}
# What asks for a number, given 2 of some type.
ASKING = {
    "ZTest": lambda two: ada.ZTest(two, two),
    "TTest": lambda two: ada.TTest(two),
    "Dunnett": lambda two: ada.Dunnett(two, two, two),
    "ChiSquaredVariance": lambda two: ada.ChiSquaredVariance(two, two),
    "FisherExact": lambda two: ada.FisherExact([two, two]),
    "ManyToOne": lambda two: ada.ManyToOne(two, two),
    "BayesianBasket": lambda two: ada.BayesianBasket(two, two, prior_mean=two, prior_sd=two),
    "LogRank": lambda two: ada.LogRank(two, two, two),
    "GroupSequential": lambda two: ada.GroupSequential(two, [two, two]),
    "GroupSequentialSize": lambda two: ada.GroupSequentialSize(two, threshold=two),
    "GroupSequentialT": lambda two: ada.GroupSequentialT([two, 5], two),
    "TwoExponentials": lambda two: ada.TwoExponentials(two),
    "Normal": lambda two: ada.Normal(sd=two, n=two),
    "Binomial": lambda two: ada.Binomial(two),
    "Poisson": lambda two: ada.Poisson(exposure=two),
    "Gamma": lambda two: ada.Gamma(two),
    "NegativeBinomial": lambda two: ada.NegativeBinomial(two),
    "MultivariateNormal": lambda two: ada.MultivariateNormal([[two]], two),
    "HalfSpace": lambda two: ada.HalfSpace([two], two),
    "Ellipsoid": lambda two: ada.Ellipsoid([two], [two]),
    "cartesian_grid": lambda two: ada.cartesian_grid([-1], two, n=two).tiles.theta.tolist(),
    "create_grid": lambda two: ada.create_grid([[two]], two).tiles.radius.tolist(),
}
# What is alike of two objects: objects of these kinds have no equality of their own.
ALIKE = (ada.Family, ada.NullHypothesis, list)


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "int"])
@pytest.mark.parametrize("name", ASKING)
def test_numbers_of_any_type_are_the_same_number(name, kind):
    found, expected = ASKING[name](TYPES[kind](2)), ASKING[name](2)
    if isinstance(expected, ALIKE):
        assert found == expected
    else:
        assert found.family == expected.family
        assert _state(found) == _state(expected)


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("name", ASKING)
def test_what_is_no_number_is_refused(name, kind):
    with pytest.raises(InvalidInputError, match="got"):
        ASKING[name](NO_NUMBERS[kind](2))


@pytest.mark.parametrize("value", [2.5, Decimal("2.5"), Fraction(5, 2), 1e300, np.inf, np.nan, 0.0, -2.0])
def test_whole_numbers_are_whole(value):
    with pytest.raises(InvalidInputError, match="n must be a positive whole number"):
        ada.Binomial(value)


def test_a_margin_is_a_number():
    assert ada.RiskDifference(margin=Decimal("-0.1")) == ada.RiskDifference(margin=-0.1)
    with pytest.raises(InvalidInputError, match="margin must be a number"):
        ada.RiskDifference(margin="-0.1")


def test_one_n_for_one_arm():
    with pytest.raises(InvalidInputError, match="one arm"):
        ada.ZTest([20, 30])


def _state(design):
    """Return what a design has computed from its arguments, but for a design inside it."""
    return {key: str(value) for key, value in vars(design).items() if key.startswith("_") and key != "_trial"}
