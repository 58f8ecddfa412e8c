"""Designs that compare two binomial arms once: the statistic is a table over the outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import copysign, inf, sqrt
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.families import Binomial
from adagrid.models._binomial import binomial_counts
from adagrid.models._two_arms import two_arms
from adagrid.models.design import Design


class TwoBinomials(Design):
    """Responders in a control arm (theta0) and a treatment arm (theta1), compared once.

    Subclasses give `table`. Counts are drawn by inverting the distribution function with one 32-bit uniform
    per arm; the distribution function is computed in float64.

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


def z_table(n_control: int, n_treatment: int, variance: Callable[[Fraction, Fraction], Fraction]) -> FloatArray:
    """Return (p1 - p0) / sqrt(variance) for every outcome, shape (n_control + 1, n_treatment + 1).

    Args:
        n_control: patients in the control arm.
        n_treatment: patients in the treatment arm.
        variance: of the difference, from the shares p0 and p1 of responders; where it is 0, z is 0 or, if the arms
            differ, infinite.
    """
    z = np.zeros((n_control + 1, n_treatment + 1))
    for control in range(n_control + 1):
        for treated in range(n_treatment + 1):
            p0, p1 = Fraction(control, n_control), Fraction(treated, n_treatment)
            if p0 != p1:
                # exact until the root, so that statistics that are equal are equal as floats
                spread = variance(p0, p1)
                z[control, treated] = copysign(sqrt((p1 - p0) ** 2 / spread) if spread else inf, p1 - p0)
    return z
