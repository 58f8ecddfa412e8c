"""What families refuse: arguments, tiles that leave the natural parameter space, and what they say about it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import adagrid as ada
from adagrid.bounds import interpolated_bound, tilt_bound
from adagrid.errors import DomainError, InvalidInputError

NUMBERS = [0, -3, 2.5, (10, 0), (), ((1, 2),), "7", None, True, float("nan")]
POSITIVE = [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0), ((1.0, 2.0),), (), None, "wide", 1 + 2j]


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize(
    "make",
    [
        ada.Exponential,
        ada.NormalUnknownVariance,
        lambda n: ada.Gamma(1.0, n=n),
        lambda n: ada.NegativeBinomial(1.0, n=n),
        lambda n: ada.MultivariateNormal([[1.0]], n=n),
    ],
)
def test_numbers_of_observations(make, value):
    with pytest.raises(InvalidInputError) as refusal:
        make(value)
    assert str(value) in str(refusal.value)


@pytest.mark.parametrize("value", POSITIVE)
@pytest.mark.parametrize("make", [ada.Poisson, ada.ScaledChiSquared, ada.Gamma, ada.NegativeBinomial])
def test_numbers_above_zero(make, value):
    with pytest.raises(InvalidInputError) as refusal:
        make(value)
    assert str(value) in str(refusal.value)


def test_numbers_for_other_numbers_of_arms():
    for family in (ada.Gamma, ada.NegativeBinomial):
        with pytest.raises(InvalidInputError, match=r"\(1.0, 2.0\), n=\(5, 6, 7\)"):
            family((1.0, 2.0), n=(5, 6, 7))
    assert ada.Gamma((1.0, 2.0), n=5) == ada.Gamma((1, 2), n=(5, 5))
    assert ada.NegativeBinomial(2.0, n=(5, 6)).dim == 2
    with pytest.raises(InvalidInputError, match="one number of observations"):
        ada.MultivariateNormal([[1.0, 0.0], [0.0, 1.0]], n=(5, 6))


@pytest.mark.parametrize(
    ("covariance", "rule"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        ([[1.0, 1.0], [1.0, 1.0]], "positive definite"),
        ([[1e-6, 1.0 - 1e-12], [1.0 - 1e-12, 1e6]], "positive definite"),
        ([[0.0]], "positive definite"),
        ([[-1.0]], "positive definite"),
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[1.0, 0.0]], "symmetric"),
        ([[1.0, np.nan], [np.nan, 1.0]], "finite"),
        ([[np.inf]], "finite"),
        ([1.0, 2.0], "rows and columns"),
        ([], "rows and columns"),
        ([[1.0], [2.0, 3.0]], "array of numbers"),
        ("wide", "number"),
    ],
)
def test_covariances(covariance, rule):
    with pytest.raises(InvalidInputError, match=rule) as refusal:
        ada.MultivariateNormal(covariance)
    assert str(covariance) in str(refusal.value)


def test_covariances_may_be_computed_in_other_units():
    root = np.array([[1e-6, 0.0, 0.0], [0.5, 0.7, 0.0], [1e5, 3e4, 7e5]])
    family = ada.MultivariateNormal(root @ root.T)
    assert np.array_equal(np.asarray(family.covariance), np.asarray(family.covariance).T)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((ada.Binomial((3, 4)), [[1.0, 2.0]]), "row for each of the 2"),
        ((ada.Binomial((3, 4)), [[1.0, 2.0], [2.0, 4.0]]), "linearly independent"),
        ((ada.Binomial((3, 4)), [[1.0, 0.0], [2.0, 0.0]]), "linearly independent"),
        ((ada.Binomial(3), [[1.0, 2.0]]), "linearly independent"),
        ((ada.Binomial((3, 4)), [[1.0], [np.nan]]), "finite"),
        ((ada.Binomial((3, 4)), [1.0, 2.0]), "rows and columns"),
        ((ada.Binomial((3, 4)), [[1.0], [1.0]], (1.0, 2.0, 3.0)), "offset"),
        ((ada.Binomial((3, 4)), [[1.0], [1.0]], np.inf), "offset"),
        ((3, [[1.0]]), "needs a family"),
    ],
)
def test_linear_maps(arguments, rule):
    with pytest.raises(InvalidInputError, match=rule):
        ada.LinearMap(*arguments)


@pytest.mark.parametrize("families", [(), [], ada.Normal(), (ada.Normal(), 3), None, "ab"])
def test_products(families):
    with pytest.raises(InvalidInputError, match="sequence of families"):
        ada.Product(families)


class Shifted(ada.Model):
    """A design for any family whose first parameter shifts the statistic."""

    def __init__(self, family) -> None:
        self.family = family

    def draw(self, key):
        return jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        return draw + theta[0]


X = ((1.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("family", "lower", "upper", "parts"),
    [
        (ada.Exponential(20), [-0.3], [1.0], ["Exponential", "minus the rates", r"theta\[0\] must be above 0", "-0.3"]),
        (ada.Exponential(20), [0.0], [1.0], [r"theta\[0\] must be above 0"]),
        (ada.Gamma(2.0), [-2.0], [-1.0], ["minus the rates", r"theta\[0\] must be above 0", "-2"]),
        (ada.ScaledChiSquared(5), [-1.0], [1.0], [r"-1/\(2 sigma\^2\)", "above 0"]),
        (ada.NegativeBinomial(2.0), [-1.0], [0.5], ["logarithms of the prob", r"theta\[0\] must be below 0", "0.5"]),
        (
            ada.NormalUnknownVariance((10, 5)),
            [-1, -1, -1, -1],
            [1, -0.1, 1, 0.2],
            [r"mu/sigma\^2 and -1/\(2 sigma\^2\)", r"theta\[3\] must be below 0", "0.2"],
        ),
        (
            ada.LinearMap(ada.Exponential((10, 20)), X),
            [0.5, -1.0],
            [1.0, 1.0],
            ["LinearMap", r"matrix @ theta \+ offset, theta\[1\] must be above 0, but is -0.5"],
        ),
        (
            ada.Product((ada.Binomial(5), ada.LinearMap(ada.Exponential((10, 20)), X))),
            [-1.0, 0.5, -1.0],
            [1.0, 1.0, 1.0],
            [r"for theta\[1:3\] of LinearMap", r"theta\[1\] must be above 0, but is -0.5"],
        ),
    ],
)
def test_grids_that_leave_the_parameter_space(family, lower, upper, parts):
    """The message names the family, what its natural parameters are, the rule, the value, the tile, and the remedy."""
    grid = ada.cartesian_grid(lower, upper, n=1)
    for entry in (ada.ada_validate, ada.validate):
        with pytest.raises(DomainError) as refusal:
            entry(Shifted(family), threshold=0.0, grid=grid)
        for part in [*parts, "around theta=", "smaller region"]:
            assert refusal.match(part)


def test_points_and_simplices_outside():
    """A tile of no size is as invalid as any other, and so is a vertex of a simplex."""
    family = ada.Exponential(5)
    with pytest.raises(DomainError, match="must be above 0, but is -1"):
        tilt_bound(family, np.array([[-1.0]]), np.zeros((1, 2, 1)), 0.5)
    with pytest.raises(DomainError, match="must be above 0, but is 0 at the vertex"):
        interpolated_bound(family, np.array([[[1.0], [0.0]]]), np.full((1, 2), 0.1))
    with pytest.raises(DomainError):
        tilt_bound(family, np.array([[np.nan]]), np.zeros((1, 2, 1)), 0.5)
