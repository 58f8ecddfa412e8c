"""Random rejection regions of every family whose exact probabilities SciPy knows, written without the package's A."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, gammainc, gammaincc, ndtr
from scipy.stats import binom, chi2, f, gamma, nbinom, nct, norm, poisson

import adagrid as ada
from adagrid._typing import FloatArray


@dataclass(frozen=True)
class Problem:
    """A family, parameters of it, and the probability of a rejection region at any parameters.

    Args:
        family: distribution of the data.
        theta: shape (dim,).
        probability: of parameters of shape (dim,).
        rounding: relative error that the probability may have.
        absolute: absolute error that it may have besides.
    """

    family: ada.Family
    theta: FloatArray
    probability: Callable[[FloatArray], float]
    rounding: float = 1e-12
    absolute: float = 1e-300

    @property
    def unit(self) -> FloatArray:
        """About one standard error in each direction."""
        step = 1e-4 * np.eye(len(self.theta)) * np.minimum(1.0, np.abs(self.theta) + 1e-2)
        growth = self.family.cumulant(self.theta, step) + self.family.cumulant(self.theta, -step)
        return np.diag(step) / np.sqrt(growth)


def interval(generator, distribution):
    """Return the ends of a random interval, half of the time a half-line, where a distribution is."""
    low, high = np.sort(distribution.ppf(generator.uniform(0.001, 0.999, 2)))
    match generator.integers(4):
        case 0:
            return low, np.inf
        case 1:
            return 0.0 if distribution.support()[0] == 0 else -np.inf, high
    return low, high


def within(tails, ends):
    """Return the probability of an interval, from the nearer tail; `tails` gives a point's lower and upper one.

    Tails are SciPy's special functions: it takes its distributions many times longer to call the same ones.
    """
    (below_low, above_low), (below_high, above_high) = (tails(end) for end in ends)
    return float(above_low - above_high if below_low > 0.5 else below_high - below_low)


def gamma_tails(power, scale):
    return lambda x: (gammainc(power, x / scale), gammaincc(power, x / scale))


def normal_tails(mean, sd):
    return lambda x: (ndtr((x - mean) / sd), ndtr((mean - x) / sd))


def or_not(generator, problem):
    """Return a problem, or half of the time the complement of its region."""
    if generator.random() < 0.5:
        return problem
    return replace(problem, probability=lambda theta: 1 - problem.probability(theta), absolute=1e-14)


def counts(generator, family, theta, pmf, largest):
    """Return a problem of independent counts with a region of finitely many outcomes: its probability is a sum."""
    outcomes = np.array(list(itertools.product(range(largest + 1), repeat=family.dim)))
    match generator.integers(4):
        case 0:
            rejection = generator.random(len(outcomes))
        case 1:
            score = outcomes @ generator.normal(size=family.dim)
            rejection = (score >= generator.choice(score)).astype(float)
        case 2:
            rejection = (np.arange(len(outcomes)) == generator.integers(len(outcomes))).astype(float)
        case _:
            rejection = (generator.random(len(outcomes)) < 0.3).astype(float)
    arms = np.arange(family.dim)
    return or_not(
        generator, Problem(family, theta, lambda there: float(pmf(outcomes, arms, there).prod(axis=1) @ rejection))
    )


def binomial(generator):
    n = generator.integers(1, 9, generator.integers(1, 4))
    theta = generator.normal(0, 2, len(n))
    return counts(
        generator,
        ada.Binomial(n.tolist()),
        theta,
        lambda x, arm, there: binom.pmf(x, n[arm], expit(there)[arm]),
        int(n.max()),
    )


def poisson_counts(generator):
    arms = int(generator.integers(1, 3))
    exposure, theta = generator.uniform(0.1, 5, arms), generator.normal(0, 1, arms)
    return counts(
        generator,
        ada.Poisson(exposure.tolist()),
        theta,
        lambda x, arm, there: poisson.pmf(x, (exposure * np.exp(there))[arm]),
        30,
    )


def negative_binomial(generator):
    arms = int(generator.integers(1, 3))
    size, n = generator.uniform(0.2, 4, arms), generator.integers(1, 6, arms)
    theta = -generator.exponential(1.0, arms) - 0.05
    return counts(
        generator,
        ada.NegativeBinomial(size.tolist(), n.tolist()),
        theta,
        lambda x, arm, there: nbinom.pmf(x, (n * size)[arm], -np.expm1(there)[arm]),
        30,
    )


def rates(generator, family, power):
    """Return a problem of sums of gamma variables with given powers: boxes, or where one sum is small beside another.

    The sum of an arm with rate r is a gamma variable with shape `power` and scale 1 / r.
    """
    theta = generator.lognormal(0, 1.5, len(power))
    if len(power) == 2 and generator.random() < 0.5:
        ratio = generator.lognormal(0, 1)

        def probability(there):
            return float(f.cdf(ratio * there[0] / there[1], 2 * power[0], 2 * power[1]))

        return or_not(generator, Problem(family, theta, probability, rounding=1e-11))
    box = [interval(generator, gamma(p, scale=1 / rate)) for p, rate in zip(power, theta, strict=True)]

    def probability(there):
        return float(
            np.prod([within(gamma_tails(p, 1 / r), ends) for p, r, ends in zip(power, there, box, strict=True)])
        )

    return or_not(generator, Problem(family, theta, probability))


def exponential(generator):
    n = generator.integers(1, 40, generator.integers(1, 4))
    return rates(generator, ada.Exponential(n.tolist()), n)


def gamma_sums(generator):
    arms = int(generator.integers(1, 4))
    shape, n = generator.uniform(0.2, 6, arms), generator.integers(1, 10, arms)
    return rates(generator, ada.Gamma(shape.tolist(), n.tolist()), n * shape)


def scaled_chi_squared(generator):
    """Half of sigma^2 chi-squared(df) has the shape df / 2 and the rate 1 / sigma^2."""
    df = generator.integers(1, 60, generator.integers(1, 4))
    return rates(generator, ada.ScaledChiSquared(df.tolist()), df / 2)


def multivariate_normal(generator):
    dim, n = int(generator.integers(1, 4)), int(generator.integers(1, 30))
    root = generator.normal(size=(dim, dim + 2))
    covariance = root @ root.T
    covariance = (covariance + covariance.T) / 2
    direction, theta = generator.normal(size=dim), generator.normal(size=dim)
    error = np.sqrt(direction @ covariance @ direction / n)
    ends = interval(generator, norm(direction @ theta, error))
    family = ada.MultivariateNormal(covariance, n=n)
    return or_not(
        generator,
        Problem(family, theta, lambda there: within(normal_tails(direction @ there, error), ends), rounding=1e-10),
    )


def normal_unknown_variance(generator):
    """Rejections by the t statistic, or by intervals of mean and variance, which are independent."""
    n = int(generator.integers(2, 30))
    sigma, mean = generator.lognormal(0, 0.5), generator.normal(0, 0.7)
    family, theta = ada.NormalUnknownVariance(n), np.array([mean / sigma**2, -0.5 / sigma**2])

    def moments(there):
        variance = -0.5 / there[1]
        return there[0] * variance, np.sqrt(variance)

    if generator.random() < 0.5:
        threshold = float(nct(n - 1, np.sqrt(n) * mean / sigma).ppf(generator.uniform(0.5, 0.99)))

        def probability(there):
            mu, sd = moments(there)
            return float(nct.sf(threshold, n - 1, np.sqrt(n) * mu / sd))

        return or_not(generator, Problem(family, theta, probability, rounding=1e-8))
    means = interval(generator, norm(mean, sigma / np.sqrt(n)))
    squares = interval(generator, chi2(n - 1, scale=sigma**2))

    def probability(there):
        mu, sd = moments(there)
        return within(normal_tails(mu, sd / np.sqrt(n)), means) * within(gamma_tails((n - 1) / 2, 2 * sd**2), squares)

    return or_not(generator, Problem(family, theta, probability))


SIMPLE = (
    binomial,
    poisson_counts,
    negative_binomial,
    exponential,
    gamma_sums,
    scaled_chi_squared,
    multivariate_normal,
    normal_unknown_variance,
)


def product(generator):
    """Two problems at once: both reject, or either does."""
    parts = [SIMPLE[i](generator) for i in generator.integers(len(SIMPLE), size=2)]
    cut, either = parts[0].family.dim, generator.random() < 0.5

    def probability(there):
        first, second = parts[0].probability(there[:cut]), parts[1].probability(there[cut:])
        return 1 - (1 - first) * (1 - second) if either else first * second

    return Problem(
        ada.Product([part.family for part in parts]),
        np.concatenate([part.theta for part in parts]),
        probability,
        rounding=max(part.rounding for part in parts),
        absolute=1e-14 if either else max(part.absolute for part in parts),
    )


def linear_map(generator):
    """A problem at parameters that depend linearly on as many or fewer others."""
    inner = (*SIMPLE, product)[generator.integers(len(SIMPLE) + 1)](generator)
    theta = generator.normal(size=int(generator.integers(1, inner.family.dim + 1)))
    matrix = generator.normal(size=(inner.family.dim, len(theta))) * inner.unit[:, None]
    offset = inner.theta - matrix @ theta
    return Problem(
        ada.LinearMap(inner.family, matrix, offset),
        theta,
        lambda there: inner.probability(matrix @ there + offset),
        rounding=max(inner.rounding, 1e-9),
        absolute=inner.absolute,
    )


PROBLEMS = {make.__name__: make for make in (*SIMPLE, product, linear_map)}
