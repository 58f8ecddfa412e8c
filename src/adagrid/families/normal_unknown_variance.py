"""Normal observations with unknown means and variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import observations, sums
from adagrid.families._curvature import largest_tilt
from adagrid.families._fields import whole
from adagrid.families.family import Family, namespace


@final
@dataclass(frozen=True)
class NormalUnknownVariance(Family):
    """Normal observations with unknown means mu and variances sigma^2.

    Arms are independent. Each arm has two natural parameters, mu / sigma^2 and -1 / (2 sigma^2), which is below zero.
    Parameters are in the order of the arms. Their sufficient statistics are the sums of the observations and of their
    squares, and A(theta) = sum_i n_i [mu_i^2 / (2 sigma_i^2) + log sigma_i]. The hypothesis mu <= 0 is theta0 <= 0.

    Args:
        n: observations per arm: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if a number of observations is not a positive integer.

    Examples:
        >>> family = ada.NormalUnknownVariance(n=20)
        >>> family.dim
        2
        >>> family.coordinates
        'the natural parameters mu/sigma^2 and -1/(2 sigma^2) of each arm'
    """

    n: int | Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n))

    @property
    @override
    def dim(self) -> int:
        return 2 * len(self._observations)

    @property
    @override
    def coordinates(self) -> str:
        return "the natural parameters mu/sigma^2 and -1/(2 sigma^2) of each arm"

    @property
    @override
    def domain(self) -> tuple[FloatArray, FloatArray]:
        arms = len(self._observations)
        return np.full(self.dim, -np.inf), np.tile([np.inf, 0.0], arms)

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        first, precision = theta[..., 0::2], -2 * theta[..., 1::2]
        xp = namespace(theta)
        return xp.sum(self._observations * (first**2 / precision - xp.log(precision)), axis=-1) / 2

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the sum of n [mu (u - mu w/2) + (u - mu w)^2 / (2 (precision + w)) - log(1 + w/precision) / 2].

        u and w are the changes of mu / sigma^2 and of the precision 1 / sigma^2.
        """
        xp = namespace(displacement)
        precision, u, w = -2 * theta[..., 1::2], displacement[..., 0::2], -2 * displacement[..., 1::2]
        mean = theta[..., 0::2] / precision
        moved = u - mean * w
        growth = mean * (u - mean * w / 2) + (moved**2 / (precision + w) - xp.log1p(w / precision)) / 2
        return xp.sum(self._observations * growth, axis=-1)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which A'' falls by a factor of q at most.

        Along (d, e), changes of mu / sigma^2 and of the precision p, A'' per observation is
        (d - mean e)^2 / p + e^2 / (2 p^2). From theta + v to theta + q v the precision rises by a factor
        r = 1 + (q - 1) w / (p + w), and the mean moves by (q - 1) p (u - mean w) / ((p + w) (p + q w)). Let s be this
        move times the square root of 2 (p + w). Then A'' falls by a factor of at most
        max(r, r^2) exp(2 asinh(s / 2)).
        """
        precision = -2 * theta[..., 1::2]
        mean = theta[..., 0::2] / precision
        u, w = displacements[..., 0::2], -2 * displacements[..., 1::2]
        moved = np.abs(u - mean * w).max(axis=1)
        precision = precision[:, 0]
        rise = np.maximum(w.max(axis=1), 0.0)
        rise = rise / (precision + rise)
        drop = np.maximum(-w.min(axis=1), 0.0)
        factor = np.sqrt(2.0) * precision * moved / np.sqrt(precision - drop)

        def fall(q: float) -> FloatArray:
            left = precision - q * drop
            shift = np.divide((q - 1) * factor, left, out=np.full_like(left, np.inf), where=left > 0)
            return (2 * np.log1p((q - 1) * rise) + 2 * np.arcsinh(shift / 2)).max(axis=1)

        return largest_tilt(fall)

    @override
    def draw(self, key: Any) -> tuple[Array, ...]:
        """Return one standard normal number per observation."""
        from adagrid.families import _random  # loads JAX

        sizes = observations(self.n)
        return _random.by_arm(_random.normal(key, sum(sizes)), sizes)

    @override
    def data(self, draw: Sequence[Array], theta: FloatArray) -> tuple[Array, ...]:
        """Return the observations, one array per arm, shape (n,)."""
        variance = -1 / (2 * theta[1::2])
        mean, sd = theta[0::2] * variance, namespace(theta).sqrt(variance)
        return tuple(own.astype(theta.dtype) * sd[arm] + mean[arm] for arm, own in enumerate(draw))

    @override
    def sufficient(self, data: Sequence[Array]) -> Array:
        """Return for each arm the sums of the observations and their squares."""
        return sums([part for own in data for part in (own, own**2)])

    @property
    def _observations(self) -> FloatArray:
        return np.asarray(self.n, float)
