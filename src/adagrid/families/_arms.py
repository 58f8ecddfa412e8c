"""Base classes of families of independent arms with one parameter each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families.family import Family, namespace


class Arms(Family):
    """Independent arms of one kind: A(theta) = sum_i w_i a(theta_i).

    Subclasses define the weights w, the function a of one parameter, and its differences.
    """

    @property
    @abstractmethod
    def weights(self) -> FloatArray:
        """Amount of data in each arm, shape (arms,)."""

    @abstractmethod
    def arm(self, theta: FloatArray) -> FloatArray:
        """Return a(theta), elementwise."""

    @abstractmethod
    def arm_growth(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return a(theta + displacement) - a(theta), elementwise, without cancellation."""

    @final
    @property
    @override
    def dim(self) -> int:
        return len(self.weights)

    @final
    @property
    @override
    def separable(self) -> bool:
        return True

    @final
    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return namespace(theta).sum(self.weights * self.arm(theta), axis=-1)

    @final
    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return namespace(displacement).sum(self.weights * self.arm_growth(theta, displacement), axis=-1)


class Rates(Arms):
    """Arms of sums S with densities in proportion to rate^w exp(-rate S): a(rate) = -log(rate).

    These are gamma distributions and their special cases. The rates are natural parameters with T = -S.
    """

    @property
    @override
    def domain(self) -> tuple[FloatArray, FloatArray]:
        return np.zeros(self.dim), np.full(self.dim, np.inf)

    @override
    def data(self, draw: Any, theta: FloatArray) -> Any:
        """Return the observations, one array per arm, shape (n,).

        Draws are observations with rates of 1.
        """
        return tuple(own.astype(theta.dtype) / rate for own, rate in zip(draw, theta, strict=True))

    @override
    def sufficient(self, data: Any) -> Array:
        """Return minus the sums of the observations."""
        return -sums(data)

    @final
    @override
    def arm(self, theta: FloatArray) -> FloatArray:
        return -namespace(theta).log(theta)

    @final
    @override
    def arm_growth(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return -namespace(displacement).log1p(displacement / theta)

    @final
    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which A'' falls by a factor of q at most.

        A'' is w / rate^2, so the square root of this q is rate / v.
        """
        rise = (displacements / theta).max(axis=(1, 2))
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(rise > 0, np.maximum(1 / rise, 1.0) ** 2, np.inf)


def observations(n: int | Sequence[int]) -> list[int]:
    """Return the number of observations of every arm."""
    return np.atleast_1d(np.asarray(n)).tolist()


def sums(data: Sequence[Array]) -> Array:
    """Return the sum of every arm's observations, shape (arms,)."""
    xp = namespace(data[0])
    total: Array = xp.stack([xp.sum(own) for own in data])
    return total


def exponential_growth(theta: FloatArray, displacement: FloatArray) -> FloatArray:
    """Return exp(theta + displacement) - exp(theta), elementwise, without cancellation."""
    xp = namespace(displacement)
    here = xp.exp(theta)
    small = here * xp.expm1(xp.minimum(displacement, 1.0))
    return xp.where(displacement > 1.0, xp.exp(theta + displacement) - here, small)
