"""Scaled chi-squared variables: sums of squares with known degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Rates
from adagrid.families._fields import positive


@final
@dataclass(frozen=True)
class ScaledChiSquared(Rates):
    """Sums of squares, sigma^2 times chi-squared variables, in independent arms.

    For example, the sum of squared deviations of n normal observations from their mean has df = n - 1. The parameters
    are the precisions 1 / sigma^2, above zero. The natural parameters are -1 / (2 sigma^2), and
    A(precision) = -sum_i df_i / 2 log(precision_i).

    Args:
        df: degrees of freedom: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if degrees of freedom are not above zero and finite.

    Examples:
        >>> family = ada.ScaledChiSquared(df=19)
        >>> family.coordinates
        'precisions 1/sigma^2 of sums of squares; -1/(2 sigma^2) are natural parameters'
    """

    df: float | Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "df", positive("ScaledChiSquared", "df", self.df))

    @property
    @override
    def coordinates(self) -> str:
        return "precisions 1/sigma^2 of sums of squares; -1/(2 sigma^2) are natural parameters"

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.df) / 2

    @override
    def draw(self, key: Any) -> Array:
        """Return sums of squares with variances of 1."""
        from adagrid.families import _random  # loads JAX

        return 2 * _random.gamma(key, self.weights)

    @override
    def data(self, draw: Array, theta: FloatArray) -> Array:
        """Return the sums of squares, one number per arm, shape (arms,)."""
        return draw.astype(theta.dtype) / theta

    @override
    def sufficient(self, data: Array) -> Array:
        """Return minus half of the sums of squares."""
        return -data / 2
