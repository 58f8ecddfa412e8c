"""Negative binomial counts with known dispersion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Arms, exponential_growth, observations, sums
from adagrid.families._curvature import largest_tilt
from adagrid.families._fields import arms, positive, whole
from adagrid.families.family import namespace


@final
@dataclass(frozen=True)
class NegativeBinomial(Arms):
    """Negative binomial counts with known dispersion, in independent arms.

    An observation is x = 0, 1, ... with probability Gamma(x + size) / (Gamma(size) x!) p^x (1 - p)^size. It counts the
    successes of probability p before the failure number `size` (Johnson, Kemp, Kotz: Univariate Discrete Distributions,
    chapter 5; `scipy.stats.nbinom(size, 1 - p)`). As an overdispersed count it has the mean m = size p / (1 - p) and
    the variance m + m^2 / size. The parameters are log(p), below zero. They are natural, and
    A(theta) = -sum_i n_i size_i log(1 - exp(theta_i)).

    Args:
        size: failures to wait for, or one over the dispersion, not necessarily whole: a number for all arms, or one
            per arm.
        n: observations per arm: a number for all arms, or one per arm.

    Raises:
        InvalidInputError: if a size is not above zero and finite, or a number of observations is not a positive
            integer.

    Examples:
        Two arms of 30 patients, whose counts of relapses have the dispersion 1/2:

        >>> ada.NegativeBinomial(size=2.0, n=(30, 30))
        NegativeBinomial(size=(2.0, 2.0), n=(30, 30))
    """

    size: float | Sequence[float]
    n: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        name = "NegativeBinomial"
        size, n = arms(name, {"size": positive(name, "size", self.size), "n": whole("n", self.n)})
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "n", n)

    @property
    @override
    def coordinates(self) -> str:
        return "logarithms of the probabilities p of a further success, the natural parameters"

    @property
    @override
    def domain(self) -> tuple[FloatArray, FloatArray]:
        return np.full(self.dim, -np.inf), np.zeros(self.dim)

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.n, float) * np.asarray(self.size)

    @override
    def arm(self, theta: FloatArray) -> FloatArray:
        """Return -log(1 - p), computed from p if p is small, else from 1 - p."""
        xp = namespace(theta)
        near = theta > -1.0
        # Each branch gets arguments in its range. Minima would not do: JAX halves their gradients at ties.
        from_failures = xp.log(-xp.expm1(xp.where(near, theta, -1.0)))
        from_successes = xp.log1p(-xp.exp(xp.where(near, -1.0, theta)))
        return -xp.where(near, from_failures, from_successes)

    @override
    def arm_growth(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return -log(1 - (p exp(v) - p) / (1 - p))."""
        xp = namespace(displacement)
        return -xp.log1p(exponential_growth(theta, displacement) / xp.expm1(theta))

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which A'' falls by a factor of q at most.

        A'' is proportional to 1 / sinh(theta/2)^2, so it falls only towards lower theta. Per unit of q, log A'' at
        theta + q v falls by at most |v| coth(|theta + v| / 2), which is largest at the lowest v.
        """
        down = np.maximum(-displacements, 0.0)
        fall = (down / np.tanh((down - theta) / 2)).max(axis=(1, 2))
        return largest_tilt(lambda q: (q - 1) * fall)

    @override
    def draw(self, key: Any) -> tuple[Any, Sequence[Array]]:
        """Return a key and one gamma number per observation.

        Given the gamma numbers, the counts are Poisson.
        """
        from adagrid.families import _random  # loads JAX

        counts, gamma = _random.split(key, 2)
        sizes = observations(self.n)
        return counts, _random.by_arm(_random.gamma(gamma, np.repeat(self.size, sizes)), sizes)

    @override
    def data(self, draw: tuple[Any, Sequence[Array]], theta: FloatArray) -> tuple[Array, ...]:
        """Return the counts, one array of integers per arm, shape (n,)."""
        from adagrid.families import _random  # loads JAX

        key, frailties = draw
        xp = namespace(theta)
        odds = xp.exp(theta) / -xp.expm1(theta)
        means = [own.astype(theta.dtype) * odds[arm] for arm, own in enumerate(frailties)]
        return _random.by_arm(_random.poisson(key, namespace(means[0]).concatenate(means)), observations(self.n))

    @override
    def sufficient(self, data: Sequence[Array]) -> Array:
        """Return the sums of the counts."""
        return sums(data)
