"""Exponential waiting times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Rates, observations
from adagrid.families._fields import whole


@final
@dataclass(frozen=True)
class Exponential(Rates):
    """Fully observed exponential waiting times in independent arms.

    The parameters are the rates, above zero. The natural parameters are minus the rates, and
    A(rate) = -sum_i n_i log(rate_i). A hazard ratio is a ratio of rates, so a hypothesis about it is linear, such as
    "theta1 >= 0.8*theta0".

    Args:
        n: observations per arm: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if a number of observations is not a positive integer.

    Examples:
        >>> family = ada.Exponential(n=(40, 40))
        >>> grid = ada.cartesian_grid([0.1, 0.1], [0.3, 0.3], n=2, null_hypos=["theta1 >= 0.8*theta0"])
        >>> grid.hypotheses[0].describe()
        '0.8*theta0 - theta1 <= 0'
    """

    n: int | Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n))

    @property
    @override
    def coordinates(self) -> str:
        return "rates of exponential waiting times; minus the rates are natural parameters"

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.n, float)

    @override
    def draw(self, key: Any) -> tuple[Array, ...]:
        """Return waiting times with rates of 1."""
        from adagrid.families import _random  # loads JAX

        sizes = observations(self.n)
        return _random.by_arm(_random.exponential(key, sum(sizes)), sizes)
