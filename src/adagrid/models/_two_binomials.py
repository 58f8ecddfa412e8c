"""Designs that compare two binomial arms once: the statistic is a table over the outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial
from adagrid.models._binomial import binomial_count
from adagrid.models.base import Model


class TwoBinomials(Model):
    """Responders in a control arm (theta0) and a treatment arm (theta1), compared once.

    Subclasses give `table`. Counts are drawn by inverting the distribution function with one 32-bit uniform
    per arm; the distribution function is computed in float64.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    precision: ClassVar[Literal["single", "double"]] = "double"
    family: Binomial

    def __init__(self, n: int | Sequence[int]) -> None:
        patients = whole_numbers("n", n).tolist()
        family = Binomial(patients * 2 if np.ndim(n) == 0 else patients)
        if family.dim != 2:
            raise InvalidInputError(f"{type(self).__name__} compares two arms; got n={n}.")
        self.family = family
        self._table = self.table(*family.patients).ravel()

    @abstractmethod
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        """Return the statistic for every outcome, shape (n_control + 1, n_treatment + 1)."""

    @final
    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (2,), "uint32")

    @final
    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        n_control, n_treatment = self.family.patients
        control = binomial_count(draw[0], n_control, theta[0])
        treatment = binomial_count(draw[1], n_treatment, theta[1])
        return jnp.asarray(self._table)[control * np.int32(n_treatment + 1) + treatment]
