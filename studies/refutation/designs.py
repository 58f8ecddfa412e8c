"""Designs whose family is declared wrongly, and designs whose family is right; each draws statistics with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.special import expit
from scipy.stats import hypergeom

import adagrid as ada
from adagrid._typing import FloatArray
from adagrid.families import Family
from adagrid.grid.points import Points
from adagrid.refutation import Inquiry

Simulate: TypeAlias = Callable[[FloatArray, int, np.random.Generator], FloatArray]
"""Returns statistics of a number of trials at parameters."""


@final
@dataclass(frozen=True)
class Case:
    """A family as it is declared, and what the design really draws.

    Args:
        family: the declared family.
        lower: least parameters of the region.
        upper: largest parameters of the region.
        simulate: draws statistics.
    """

    family: Family
    lower: Sequence[float]
    upper: Sequence[float]
    simulate: Simulate

    def log_evidence(self, seed: int, n_lines: int, n_sims: int) -> float:
        """Return the logarithm of the e-value that the simulations of a seed give."""
        rng = np.random.default_rng(seed)
        tiles = ada.cartesian_grid(list(self.lower), list(self.upper), n=1).tiles

        def ask(points: Points) -> FloatArray:
            n = int(points.n_sims[0])
            return np.stack([self.simulate(theta, n, rng) for theta in points.theta])

        inquiry = Inquiry(self.family, "double", n_lines, n_sims, seed)
        return next(inquiry.bet(inquiry.lines(tiles, ask), ask)).log_value


def _in_range(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return (np.abs(rng.binomial(200, expit(theta[0]), n) - 61.5) < 2) * 1.0


def _z_type(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return (rng.binomial(200, expit(theta[0]), n) / 200 - 0.3) / np.sqrt(0.21 / 200)


def _mean(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return theta[0] + rng.standard_normal(n) / 10


def _mean_and_sign(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return _mean(theta, n, rng) + 9.0 * (abs(theta[0]) > 0.3)


def _binary_mean(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return rng.binomial(100, theta[0], n) * 1.0


def _difference(share: float = 0.0) -> Simulate:
    """Return the difference of two means of 50, with a share of a parameter added to it."""

    def simulate(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        means = theta + rng.standard_normal((n, 2)) / np.sqrt(50)
        return means[:, 1] - means[:, 0] + share * theta[1]

    return simulate


def _two_arms(patients: int, *, logits: bool = True, same: bool = False, fisher: bool = False) -> Simulate:
    """Return the pooled z statistic of two arms, or Fisher's p-value."""

    def simulate(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        rate = expit(theta) if logits else np.clip(theta, 0, 1)
        if same:
            responders = (rng.random((n, patients))[:, :, None] < rate).sum(axis=1)
        else:
            responders = rng.binomial(patients, rate, (n, 2))
        total = responders.sum(axis=1)
        if fisher:
            return hypergeom.sf(responders[:, 1] - 1, 2 * patients, total, patients)
        variance = np.maximum(total * (1 - total / (2 * patients)), 1e-9)
        return (responders[:, 1] - responders[:, 0]) / np.sqrt(variance)

    return simulate


def _three_looks(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    sums = (rng.standard_normal((n, 3)) * np.sqrt(40) + theta[0] * 40).cumsum(axis=1)
    return (sums / np.sqrt(40 * np.arange(1, 4))).max(axis=1)


def _count(patients: int) -> Simulate:
    return lambda theta, n, rng: rng.binomial(patients, expit(theta[0]), n) * 1.0


def _events(exposure: float) -> Simulate:
    return lambda theta, n, rng: rng.poisson(exposure * np.exp(theta[0]), n) * 1.0


def _total_time(theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return rng.gamma(30, 1 / theta[0], n)


_NORMAL, _TWO_NORMALS = ada.Normal(sd=1.0, n=100), ada.Normal(sd=1.0, n=(50, 50))
_ARM, _HALF, _PAIR, _WIDE = ([-2.0], [1.0]), ([-0.5], [0.5]), ([-1.0] * 2, [1.0] * 2), ([-1.5] * 2, [1.5] * 2)

WRONG: Mapping[str, Case] = {
    **{f"n = {n} for 200, in a range": Case(ada.Binomial(n), *_ARM, _in_range) for n in (3, 20, 100, 133)},
    **{f"n = {n} for 200, z": Case(ada.Binomial(n), *_ARM, _z_type) for n in (3, 20, 100, 133)},
    **{f"{c} times the sd": Case(ada.Normal(sd=c, n=100), *_HALF, _mean) for c in (1.2, 1.5, 2.0)},
    "pooled z, a third of the patients": Case(ada.Binomial((20, 20)), *_WIDE, _two_arms(60)),
    "normal for binary": Case(ada.Normal(sd=0.5, n=100), [0.05], [0.5], _binary_mean),
    "no sigmoid": Case(ada.Binomial((50, 50)), *_PAIR, _two_arms(50, logits=False)),
    "theta is added": Case(_TWO_NORMALS, *_PAIR, _difference(1.0)),
    "theta is compared": Case(_NORMAL, *_HALF, _mean_and_sign),
    "the same uniforms in both arms": Case(ada.Binomial((50, 50)), *_PAIR, _two_arms(50, same=True)),
    "n of the first look": Case(ada.Normal(sd=1.0, n=40), [-0.6], [0.6], _three_looks),
    "Poisson, half the exposure": Case(ada.Poisson(25.0), [-0.7], [0.7], _events(50.0)),
    "exponential, half the n": Case(ada.Exponential(15), [0.5], [2.0], _total_time),
}
"""Designs that declare another family than they draw from."""

RIGHT: Mapping[str, Case] = {
    "z": Case(_NORMAL, *_HALF, _mean),
    "two means": Case(_TWO_NORMALS, *_PAIR, _difference()),
    "pooled z": Case(ada.Binomial((20, 20)), *_WIDE, _two_arms(20)),
    "Fisher": Case(ada.Binomial((20, 20)), *_WIDE, _two_arms(20, fisher=True)),
    "three looks": Case(ada.Normal(sd=1.0, n=120), [-0.6], [0.6], _three_looks),
    "a count of 3": Case(ada.Binomial(3), [-2.0], [2.0], _count(3)),
    "n = 200, in a range": Case(ada.Binomial(200), *_ARM, _in_range),
    "Poisson": Case(ada.Poisson(5.0), [-1.0], [1.0], _events(5.0)),
    "exponential": Case(ada.Exponential(30), [0.5], [2.0], _total_time),
}
"""Designs that draw from the family that they declare."""
