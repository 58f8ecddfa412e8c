"""Independent binomial arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid._typing import FloatArray
from adagrid.families.base import Family


@final
@dataclass(frozen=True)
class Binomial(Family):
    """Numbers of responders in independent arms.

    The parameters are the logits of the response probabilities: A(theta) = sum_i n_i log(1 + exp(theta_i)).

    Args:
        n: patients per arm: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if a number of patients is not a positive integer.
    """

    n: int | Sequence[int]

    def __post_init__(self) -> None:
        n = whole_numbers("n", self.n)
        object.__setattr__(self, "n", tuple(int(value) for value in n))

    @property
    def patients(self) -> tuple[int, ...]:
        """Patients per arm."""
        return tuple(np.atleast_1d(np.asarray(self.n)).tolist())

    @property
    @override
    def dim(self) -> int:
        return len(self.patients)

    @property
    @override
    def coordinates(self) -> str:
        return "logits of the response probabilities"

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return np.sum(np.asarray(self.patients, float) * np.logaddexp(0.0, theta), axis=-1)

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return sum_i n_i log(1 - p_i + p_i exp(v_i)), without cancellation for small v or extreme p.

        Successes and failures are exchanged where p > 1/2, so that the probability that multiplies
        exp(v) - 1 is at most one half; where exp would overflow the logarithm is expanded instead.
        """
        flip = np.where(theta > 0, -1.0, 1.0)
        minority = np.exp(-np.logaddexp(0.0, np.abs(theta)))  # min(p, 1 - p)
        tilt = flip * displacement
        small = np.log1p(minority * np.expm1(np.minimum(tilt, 1.0)))
        large = np.logaddexp(np.log1p(-minority), np.where(tilt > 1.0, tilt, 0.0) - np.logaddexp(0.0, np.abs(theta)))
        growth = np.where(tilt > 1.0, large, small) + np.where(theta > 0, displacement, 0.0)
        return np.sum(np.asarray(self.patients, float) * growth, axis=-1)
