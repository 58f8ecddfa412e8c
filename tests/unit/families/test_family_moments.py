"""Log-partitions against closed forms: their derivatives are SciPy's moments, their differences exact to the digit."""

from __future__ import annotations

from decimal import Decimal, localcontext

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, gamma, nbinom, poisson

import adagrid as ada


def moments(family, theta):
    """Return the gradient and the Hessian of A."""
    with jax.enable_x64(True):
        both = jax.jit(lambda point: (jax.grad(family.log_partition)(point), jax.hessian(family.log_partition)(point)))
        return tuple(np.asarray(of) for of in both(np.asarray(theta)))


# One arm: T, with its distribution by SciPy.
ONE_ARM = {
    "binomial": (ada.Binomial(7), -0.4, 1.0, binom(7, 1 / (1 + np.exp(0.4)))),
    "poisson": (ada.Poisson(12.5), -0.3, 1.0, poisson(12.5 * np.exp(-0.3))),
    "exponential": (ada.Exponential(9), 2.5, -1.0, gamma(9, scale=1 / 2.5)),
    "gamma": (ada.Gamma(0.7, n=4), 0.2, -1.0, gamma(4 * 0.7, scale=1 / 0.2)),
    "scaled chi-squared": (ada.ScaledChiSquared(11), 1 / 3.0, -0.5, chi2(11, scale=3.0)),
    "negative binomial": (ada.NegativeBinomial(2.5, n=3), np.log(0.6), 1.0, nbinom(7.5, 0.4)),
    "negative binomial, few": (ada.NegativeBinomial(2.5, n=3), -1.0, 1.0, nbinom(7.5, 1 - np.exp(-1.0))),
}


@pytest.mark.parametrize("case", ONE_ARM)
def test_derivatives_are_mean_and_variance(case):
    family, theta, factor, distribution = ONE_ARM[case]
    mean, variance = moments(family, [theta])
    np.testing.assert_allclose(mean, [factor * distribution.mean()], rtol=1e-12)
    np.testing.assert_allclose(variance, [[factor**2 * distribution.var()]], rtol=1e-12)


def test_moments_of_means_with_known_covariance():
    """T = n covariance^-1 times the observed mean."""
    covariance, theta, n = np.array([[2.0, 0.7], [0.7, 0.5]]), np.array([0.3, -1.2]), 6
    mean, variance = moments(ada.MultivariateNormal(covariance, n=n), theta)
    precision = n * np.linalg.inv(covariance)
    np.testing.assert_allclose(mean, precision @ theta, rtol=1e-12)
    np.testing.assert_allclose(variance, precision, rtol=1e-12)


def test_moments_of_sums_and_sums_of_squares():
    """The sum of x and of x^2: x has the variance s^2, x^2 has 2 s^4 + 4 m^2 s^2, and their covariance is 2 m s^2."""
    n, mu, square = np.array([5, 8]), np.array([0.6, -1.5]), np.array([2.0, 0.3])
    theta = np.stack([mu / square, -0.5 / square], axis=1).ravel()
    mean, variance = moments(ada.NormalUnknownVariance(n.tolist()), theta)
    np.testing.assert_allclose(mean, np.stack([n * mu, n * (mu**2 + square)], axis=1).ravel(), rtol=1e-12)
    expected = np.zeros((4, 4))
    for arm in range(2):
        s, m = square[arm], mu[arm]
        block = [[s, 2 * m * s], [2 * m * s, 2 * s**2 + 4 * m**2 * s]]
        expected[2 * arm : 2 * arm + 2, 2 * arm : 2 * arm + 2] = n[arm] * np.array(block)
    np.testing.assert_allclose(variance, expected, rtol=1e-11, atol=1e-11)


def test_a_linear_map_has_the_moments_of_its_sums():
    matrix = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, -0.5]])
    inner, theta, offset = ada.Poisson((2.0, 3.0, 4.0)), np.array([0.2, -0.4]), np.array([0.0, 0.5, 0.1])
    mean, variance = moments(ada.LinearMap(inner, matrix, offset), theta)
    expected = np.array([2.0, 3.0, 4.0]) * np.exp(matrix @ theta + offset)
    np.testing.assert_allclose(mean, matrix.T @ expected, rtol=1e-12)
    np.testing.assert_allclose(variance, matrix.T @ np.diag(expected) @ matrix, rtol=1e-12)


def test_what_the_parameters_are():
    """Where the natural parameters are others, the classes say what theirs are: checked by known distributions."""
    family = ada.NormalUnknownVariance(10)
    mu, sigma = 0.7, 2.0
    value = family.log_partition(np.array([mu / sigma**2, -0.5 / sigma**2]))
    assert value == pytest.approx(10 * (mu**2 / (2 * sigma**2) + np.log(sigma)), rel=1e-14)
    assert ada.ScaledChiSquared(8).log_partition(np.array([1 / sigma**2])) == pytest.approx(8 * np.log(sigma))
    assert ada.Exponential((5, 7)).log_partition(np.array([0.5, 4.0])) == pytest.approx(
        -5 * np.log(0.5) - 7 * np.log(4)
    )


# Differences with 60 digits.


def exact(function, theta, displacement):
    with localcontext() as context:
        context.prec = 60 + max(0, -Decimal(displacement or 1).adjusted())
        return function(Decimal(theta) + Decimal(displacement)) - function(Decimal(theta))


ARMS = {
    "rates": (ada.Exponential(1), st.floats(1e-6, 1e6), lambda rate: -rate.ln()),
    "poisson": (ada.Poisson(1.0), st.floats(-30, 10), lambda theta: theta.exp()),
    "negative binomial": (ada.NegativeBinomial(1.0), st.floats(-30, -1e-6), lambda theta: -(1 - theta.exp()).ln()),
}


@pytest.mark.parametrize("name", ARMS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_cumulants_keep_their_digits(name, data):
    """From tiny displacements to most of the way to the border."""
    family, thetas, function = ARMS[name]
    theta = data.draw(thetas)
    share = data.draw(st.sampled_from([1e-200, 1e-12, 1e-5, 0.1, 0.5, 0.9])) * data.draw(st.sampled_from([-1, 1]))
    displacement = share * min(abs(theta), 30.0)
    value = float(family.cumulant(np.array([theta]), np.array([displacement])))
    expected = exact(function, theta, displacement)
    if displacement == 0 or abs(expected) < Decimal("1e-300"):
        assert abs(value) < 1e-290
    else:
        assert abs(Decimal(value) - expected) <= abs(expected) * Decimal("3e-14")


@settings(max_examples=150, deadline=None)
@given(
    mean=st.floats(-30, 30),
    precision=st.floats(1e-4, 1e4),
    size=st.sampled_from([1e-12, 1e-6, 1e-2, 0.5]),
    direction=st.tuples(st.integers(-100, 100), st.integers(-100, 100)),
)
def test_cumulants_of_normal_observations_keep_their_digits(mean, precision, size, direction):
    theta = np.array([mean * precision, -precision / 2])
    displacement = size * np.array(direction) / 100 * np.array([(1 + abs(mean)) * precision, precision / 2])
    value = float(ada.NormalUnknownVariance(1).cumulant(theta, displacement))
    with localcontext() as context:
        context.prec = 80

        def log_partition(first, second):
            return -(first**2) / (4 * second) - (-2 * second).ln() / 2

        here = [Decimal(x) for x in theta.tolist()]
        there = [a + Decimal(v) for a, v in zip(here, displacement.tolist(), strict=True)]
        expected = log_partition(*there) - log_partition(*here)
        # the derivatives of A times the displacements: digits of these are all that is given
        at_hand = abs(mean * displacement[0]) + (mean**2 + 1 / precision) * abs(displacement[1])
        assert abs(Decimal(value) - expected) <= Decimal("1e-14") * (abs(expected) + Decimal(at_hand))
