"""Poisson counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Arms, exponential_growth
from adagrid.families._curvature import largest_tilt
from adagrid.families._fields import positive
from adagrid.families.family import like, namespace


@final
@dataclass(frozen=True)
class Poisson(Arms):
    """Poisson counts of events in independent arms.

    The parameters are the logarithms of the rates. They are natural. An arm has exposure * exp(theta) expected events,
    and A(theta) = sum_i exposure_i exp(theta_i). Differences of parameters are logarithms of rate ratios.

    Args:
        exposure: time at risk, or observations, of each arm: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if an exposure is not above zero and finite.

    Examples:
        Two arms of 100 patient-years, with rates from 0.1 to 0.4 events a year:

        >>> family = ada.Poisson(exposure=(100.0, 100.0))
        >>> ada.cartesian_grid([0.1, 0.1], [0.4, 0.4], n=2, null_hypos=["theta1 >= theta0"], scale="rate")
        <Grid: 3 tiles, theta0 -2.303 to -0.9163, theta1 -2.303 to -0.9163; null: theta0 - theta1 <= 0>
    """

    exposure: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "exposure", positive("Poisson", "exposure", self.exposure))

    @property
    @override
    def coordinates(self) -> str:
        return "logarithms of event rates, the natural parameters"

    @property
    @override
    def scales(self) -> tuple[str, ...]:
        return ("rate",) * self.dim

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.exposure)

    @override
    def arm(self, theta: FloatArray) -> FloatArray:
        return namespace(theta).exp(theta)

    @override
    def arm_growth(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return exponential_growth(theta, displacement)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which A'' falls by a factor of q at most.

        A'' is exp(theta), which falls only towards lower theta.
        """
        fall = np.maximum(-displacements, 0.0).max(axis=(1, 2))
        return largest_tilt(lambda q: (q - 1) * fall)

    @override
    def draw(self, key: Any) -> Any:
        """Return the key itself.

        The number of random numbers that a count needs depends on its mean.
        """
        return key

    @override
    def data(self, draw: Any, theta: FloatArray) -> Array:
        """Return the number of events of each arm, integers of shape (arms,)."""
        from adagrid.families import _random  # loads JAX

        return _random.poisson(draw, like(theta, self.exposure) * namespace(theta).exp(theta))

    @override
    def sufficient(self, data: Array) -> Array:
        """Return the numbers of events."""
        return data
