"""Independent binomial arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray
from adagrid.families._arms import Arms, sums
from adagrid.families._curvature import largest_tilt
from adagrid.families._fields import whole
from adagrid.families.family import namespace, softplus


@final
@dataclass(frozen=True)
class Binomial(Arms):
    """Numbers of responders in independent arms.

    The parameters are the logits of the response probabilities, and A(theta) = sum_i n_i log(1 + exp(theta_i)).

    Args:
        n: patients per arm: a number for one arm, or one number per arm.

    Raises:
        InvalidInputError: if a number of patients is not a positive integer.

    Examples:
        Two arms, of 40 and 60 patients:

        >>> family = ada.Binomial(n=(40, 60))
        >>> family.dim
        2
        >>> family.coordinates
        'logits of the response probabilities'
    """

    n: int | Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n))

    @property
    def patients(self) -> tuple[int, ...]:
        """Patients per arm."""
        return tuple(np.atleast_1d(np.asarray(self.n)).tolist())

    @property
    @override
    def coordinates(self) -> str:
        return "logits of the response probabilities"

    @property
    @override
    def scales(self) -> tuple[str, ...]:
        return ("probability",) * self.dim

    @property
    @override
    def weights(self) -> FloatArray:
        return np.asarray(self.patients, float)

    @override
    def arm(self, theta: FloatArray) -> FloatArray:
        return softplus(theta)

    @override
    def arm_growth(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return log(1 - p + p exp(v)), without cancellation for small v or extreme p.

        Where p > 1/2, the computation swaps successes and failures, so the factor of exp(v) - 1 is at most one half.
        Where exp would overflow, it expands the logarithm.
        """
        xp = namespace(displacement)
        flip = xp.where(theta > 0, -1.0, 1.0)
        log_minority = -softplus(xp.abs(theta))  # log of min(p, 1 - p)
        minority = xp.exp(log_minority)
        tilt = flip * displacement
        small = xp.log1p(minority * xp.expm1(xp.minimum(tilt, 1.0)))
        large = xp.logaddexp(xp.log1p(-minority), xp.where(tilt > 1.0, tilt, 0.0) + log_minority)
        return xp.where(tilt > 1.0, large, small) + xp.where(theta > 0, displacement, 0.0)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which A'' falls by a factor of q at most.

        A'' is n p (1 - p), and the slope of its logarithm is 1 - 2p.
        """
        fall = np.abs(displacements).max(axis=(1, 2))
        return largest_tilt(lambda q: (q - 1) * fall)

    @override
    def draw(self, key: Any) -> tuple[Array, ...]:
        """Return one logistic number per patient.

        A patient responds if this number is below the logit.
        """
        from adagrid.families import _random  # loads JAX

        return _random.by_arm(_random.logistic(key, sum(self.patients)), self.patients)

    @override
    def data(self, draw: Sequence[Array], theta: FloatArray) -> tuple[Array, ...]:
        """Return responses, 1 or 0: one array of integers per arm, shape (n,)."""
        return tuple((own < logit).astype(np.int32) for own, logit in zip(draw, theta, strict=True))

    @override
    def sufficient(self, data: Sequence[Array]) -> Array:
        """Return the numbers of responders."""
        return sums(data)
