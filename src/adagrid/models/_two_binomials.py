"""Designs that compare two binomial arms once: the statistic is a table over the outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from math import gcd, inf
from typing import ClassVar, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.families import Binomial
from adagrid.models._binomial import binomial_counts
from adagrid.models._double_double import Pair, over
from adagrid.models._two_arms import two_arms
from adagrid.models.design import Design

Counts: TypeAlias = FloatArray
# Number of outcomes whose statistics are computed together.
_AT_ONCE = 2**20


class TwoBinomials(Design):
    """Responders in a control arm (theta0) and a treatment arm (theta1), compared once.

    Subclasses define `table`. Each count inverts the binomial distribution function, computed in float64, at a 32-bit
    uniform.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    precision: ClassVar[Literal["single", "double"]] = "double"
    family: Binomial

    def __init__(self, n: int | Sequence[int]) -> None:
        self.family = Binomial(two_arms(type(self).__name__, n))
        self._table = self.table(*self.family.patients).ravel()

    @abstractmethod
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        """Return the statistic for every outcome, shape (n_control + 1, n_treatment + 1)."""

    @final
    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (2,), "uint32")

    @final
    @override
    def data(self, draw: jax.Array, theta: jax.Array) -> jax.Array:
        """Return the responders of both arms, shape (2,)."""
        return binomial_counts(draw, self.family.patients, theta)

    @final
    @override
    def sufficient(self, data: jax.Array) -> jax.Array:
        return data

    @final
    @override
    def statistic(self, data: jax.Array, null_truth: jax.Array) -> jax.Array:
        control, treatment = data
        return jnp.asarray(self._table)[control * np.int32(self.family.patients[1] + 1) + treatment]


def z_table(
    n_control: int, n_treatment: int, ratio: Callable[[Counts, Counts, Counts], tuple[Pair, Pair]]
) -> FloatArray:
    """Return z = (p1 - p0) / sqrt(variance) for every outcome, shape (n_control + 1, n_treatment + 1).

    Squares are computed with twice the digits of floats and rounded once, so equal statistics are equal floats.

    Args:
        n_control: patients in the control arm.
        n_treatment: patients in the treatment arm.
        ratio: numerator and denominator of z squared, from the responders of both arms and the difference
            (treatment n_control - control n_treatment) / gcd(n_control, n_treatment), all of them whole numbers. If the
            denominator is 0, z is 0 for equal arms and infinite for different ones.
    """
    z = np.empty((n_control + 1, n_treatment + 1))
    treatment = np.arange(n_treatment + 1.0)
    common = gcd(n_control, n_treatment)
    rows = max(_AT_ONCE // len(treatment), 1)
    for begin in range(0, n_control + 1, rows):
        control = np.arange(n_control + 1.0)[begin : begin + rows, None]
        difference = treatment * (n_control // common) - control * (n_treatment // common)
        numerator, denominator = ratio(*np.broadcast_arrays(control, treatment, difference))
        constant = denominator[0] == 0
        squared = over(numerator, (np.where(constant, 1.0, denominator[0]), denominator[1]))[0]
        size = np.where(constant, np.where(difference == 0, 0.0, inf), np.sqrt(squared))
        z[begin : begin + rows] = np.copysign(size, difference)
    return z + 0.0  # no -0
