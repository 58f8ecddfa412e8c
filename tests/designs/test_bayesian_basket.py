"""The basket trial: its table against brute-force integration, its certificates against sums over all outcomes."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binom, norm

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.models.bayesian_basket import _place
from tests.support.certified import assert_bounds, assert_fails, validated

NULL, MEAN, SD, SHAPE, SCALE = 0.1, -1.34, 10.0, 0.0005, 0.000005


@pytest.fixture(scope="module")
def large():
    return ada.BayesianBasket(35, 4)


@pytest.fixture(scope="module")
def small():
    return ada.BayesianBasket(10, 2)


def log_variances(count):
    """Nodes and weights of the prior of the variance between arms, in its logarithm."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    variance = np.exp((np.log(1e3) + np.log(1e-6)) / 2 + (np.log(1e3) - np.log(1e-6)) / 2 * nodes)
    return variance, weights * variance**-SHAPE * np.exp(-SCALE / variance)


def brute_force(outcomes, n):
    """Posterior probabilities by sums over fine grids of the variance, of mu, and of every logit given both."""
    variance, prior = log_variances(24)
    u = np.linspace(-5.4, 5.4, 181)
    mu, spacing = MEAN + np.sinh(u) / 2, np.cosh(u) / 2  # fine where arms respond alike, and wide
    z = np.linspace(-8, 8, 601)
    theta = mu[:, None] + np.sqrt(variance)[:, None, None] * z
    softplus, above = np.logaddexp(0.0, theta), expit(theta) > NULL
    weight = prior[:, None] * norm.pdf(mu, MEAN, SD) * spacing
    mass, tail = {}, {}
    for y in {y for outcome in outcomes for y in outcome}:
        both = norm.pdf(z) * np.exp(y * theta - n * softplus)
        mass[y], tail[y] = both.sum(axis=2), (both * above).sum(axis=2)
    for outcome in outcomes:
        marginal = weight * np.prod([mass[y] for y in outcome], axis=0)
        joint = [
            weight * tail[y] * np.prod([mass[other] for i, other in enumerate(outcome) if i != arm], axis=0)
            for arm, y in enumerate(outcome)
        ]
        yield [float(each.sum() / marginal.sum()) for each in joint]


def test_posterior_probabilities_are_near_those_of_brute_force(large):
    """As near as Laplace's method comes; and where everybody or nobody responds it stays too near one half."""
    outcomes = [(3, 4, 5, 8), (3, 3, 3, 9), (5, 5, 5, 5), (3, 9, 9, 4)]
    for outcome, exact in zip(outcomes, brute_force(outcomes, 35), strict=True):
        found = [large.probability(outcome, arm) for arm in range(4)]
        np.testing.assert_allclose(found, exact, atol=0.045)
    outcome = (35, 0, 0, 35)
    (exact,) = brute_force([outcome], 35)
    assert exact[0] > 0.999 > large.probability(outcome, 0) > 0.9
    assert exact[1] < 0.001 < large.probability(outcome, 1) < 0.3


def laplace(y, precision):
    """The log marginal likelihood of 35 patients per arm, the mode, and minus the Hessian there."""
    loss = lambda t: -np.sum(y * t - 35 * np.logaddexp(0, t)) + (t - MEAN) @ precision @ (t - MEAN) / 2
    slope = lambda t: -(y - 35 * expit(t)) + precision @ (t - MEAN)
    curve = lambda t: np.diag(35 * expit(t) * expit(-t)) + precision
    found = minimize(loss, np.full(4, -1.0), jac=slope, hess=curve, method="trust-exact", options={"gtol": 1e-5})
    hessian = curve(found.x)
    return -found.fun + (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(hessian)[1]) / 2, found.x, hessian


@pytest.mark.parametrize("outcome", [(0, 0, 0, 0), (3, 4, 5, 8), (35, 0, 0, 35), (1, 2, 10, 20)])
def test_table_is_what_laplaces_method_gives(large, outcome):
    """The same approximation by dense matrices, a general optimiser, and more nodes."""
    y, eye, ones = np.array(outcome), np.eye(4), np.ones((4, 4))
    total, above = 0.0, np.zeros(4)
    masses = []
    for variance, weight in zip(*log_variances(120), strict=True):
        precision = np.linalg.inv(variance * eye + SD**2 * ones)
        log_mass, theta, hessian = laplace(y, precision)
        spread = np.sqrt(np.diag(np.linalg.inv(hessian)))
        masses.append((log_mass, weight, norm.cdf((theta - logit(NULL)) / spread)))
    reference = max(log_mass for log_mass, _, _ in masses)
    for log_mass, weight, tails in masses:
        total += weight * np.exp(log_mass - reference)
        above += weight * np.exp(log_mass - reference) * tails
    np.testing.assert_allclose([large.probability(outcome, arm) for arm in range(4)], above / total, atol=2e-4)


def test_arms_are_alike(large):
    for order in itertools.permutations(range(4)):
        outcome = [(2, 3, 7, 9)[i] for i in order]
        for arm in range(4):
            assert large.probability(outcome, arm) == large.probability((2, 3, 7, 9), order[arm])


def exact_error(model, threshold, theta, truth):
    """The family-wise error by a sum over the outcomes of two arms."""
    n = model.family.patients[0]
    outcomes = list(itertools.product(range(n + 1), repeat=2))
    above = np.array([[model.probability(outcome, arm) for arm in range(2)] for outcome in outcomes])
    rejects = ((above > threshold) & np.array(truth)).any(axis=1)
    y = np.array(outcomes)
    return float((binom.pmf(y[:, 0], n, expit(theta[0])) * binom.pmf(y[:, 1], n, expit(theta[1])))[rejects].sum())


def test_certificates_of_two_arms(small):
    """Too low a threshold fails; the worst place is where rates are at the boundary, or the other arm's is high."""
    grid = ada.cartesian_grid([-3.5, -3.5], [-1.0, -1.0], n=1, null_hypos=small.null_hypos)
    boundary = [logit(NULL)] * 2
    worst = exact_error(small, 0.9, boundary, [True, True])
    assert worst > 0.05
    for theta, truth in (([-3.5, -3.5], [True, True]), ([-3.0, boundary[0]], [True, True])):
        assert exact_error(small, 0.9, theta, truth) < worst
    worst = max(worst, exact_error(small, 0.9, [boundary[0], -1.0], [True, False]))
    run = validated(small, 0.9, grid)
    assert_bounds(run, worst)
    assert_fails(run, 0.025)


def test_engine_agrees_with_the_table(large):
    """Statistics of simulated trials are the largest of true arms' probabilities, by the sum over all outcomes."""
    theta, truth = np.full((1, 4), logit(NULL)), np.array([[True, True, False, True]])
    mass = binom.pmf(np.arange(36), 35, NULL)
    # outcomes that are not too rare; all others together are as good as impossible
    outcomes = np.array(list(itertools.product(range(13), repeat=4)))
    weight = mass[outcomes].prod(axis=1)
    outcomes, weight = outcomes[weight > 1e-7], weight[weight > 1e-7]
    rest = 1 - weight.sum()
    assert rest < 3e-3
    largest = np.array([max(large.probability(y, arm) for arm in (0, 1, 3)) for y in outcomes])
    simulator = Simulator(large, 0, 4, shape=Shape(8192, 1))
    for threshold in (0.8, 0.9, 0.97):
        exact = weight[largest > threshold].sum()
        found = simulator.count(theta, truth, -threshold, 0, 2**17)[0] / 2**17
        spread = 5 * np.sqrt(exact / 2**17)
        assert exact - spread <= found <= exact + rest + spread


def test_many_arms_have_a_place_in_the_table_each():
    """Products of eleven consecutive numbers would exceed 32 bits on the way to a place."""
    n, arms, rate = 4, 12, 0.5
    design = ada.BayesianBasket(n, arms)
    places = list(itertools.combinations_with_replacement(range(n + 1), arms - 1))
    assert sorted(int(_place(place, design._choose)) for place in places) == list(range(len(places)))
    outcomes = np.random.default_rng(1).binomial(n, rate, (300, arms))
    middle = (binom.cdf(outcomes - 1, n, rate) + binom.cdf(outcomes, n, rate)) / 2  # uniforms that give these
    theta, truth = np.zeros(arms), np.arange(arms) == 0  # logits of the rate
    with jax.enable_x64(True):
        statistic = jax.jit(jax.vmap(design.statistic, in_axes=(0, None, None)))
        found = statistic((middle * 2**32).astype(np.uint32), theta, truth)
    assert np.asarray(found).tolist() == [design.probability(outcome, 0) for outcome in outcomes]
