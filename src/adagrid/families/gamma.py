"""Gamma distributions with known shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Rates, observations
from adagrid.families._fields import arms, positive, whole


@final
@dataclass(frozen=True)
class Gamma(Rates):
    """Gamma observations with known shapes in independent arms.

    The parameters are the rates (one over the scales), above zero. The natural parameters are minus the rates, and
    A(rate) = -sum_i n_i shape_i log(rate_i). Means are shape / rate.

    Args:
        shape: shape of one observation: a number for all arms, or one per arm.
        n: observations per arm: a number for all arms, or one per arm.

    Raises:
        InvalidInputError: if a shape is not above zero and finite, or a number of observations is not a positive
            integer.

    Examples:
        >>> ada.Gamma(shape=2.0, n=(20, 20))
        Gamma(shape=(2.0, 2.0), n=(20, 20))
    """

    shape: float | Sequence[float]
    n: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        shape, n = arms("Gamma", {"shape": positive("Gamma", "shape", self.shape), "n": whole("n", self.n)})
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "n", n)

    @property
    @override
    def coordinates(self) -> str:
        return "rates of gamma distributions; minus the rates are natural parameters"

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.n, float) * np.asarray(self.shape)

    @override
    def draw(self, key: Any) -> tuple[Array, ...]:
        """Return observations with rates of 1."""
        from adagrid.families import _random  # loads JAX

        sizes = observations(self.n)
        return _random.by_arm(_random.gamma(key, np.repeat(self.shape, sizes)), sizes)
