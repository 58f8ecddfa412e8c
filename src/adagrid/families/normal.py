"""Normal observations with known standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers, whole_numbers
from adagrid._typing import Array, FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families._arms import observations, sums
from adagrid.families.family import Family, namespace


@final
@dataclass(frozen=True)
class Normal(Family):
    """Independent normal means with known standard deviations.

    The parameters are the means mu. They are natural for T_i = n_i * mean_i / sd_i^2, and
    A(mu) = sum_i n_i mu_i^2 / (2 sd_i^2).

    Args:
        sd: standard deviation of one observation: a number for one mean, or one number per mean.
        n: observations per mean: a number for all, or one per mean.

    Raises:
        InvalidInputError: if a standard deviation or a sample size is not positive and finite.

    Examples:
        Two arms, of 25 and 100 patients:

        >>> family = ada.Normal(sd=2.0, n=(25, 100))
        >>> family.standard_errors.tolist()
        [0.4, 0.2]
    """

    sd: float | Sequence[float] = 1.0
    n: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        sd = np.atleast_1d(real_numbers("sd", self.sd))
        n = whole_numbers("n", self.n)
        if sd.ndim != 1 or sd.size == 0 or (sd.size != n.size and 1 not in (sd.size, n.size)):
            raise InvalidInputError(
                "Normal needs as many sample sizes as standard deviations, or one for all; "
                f"got sd={self.sd}, n={self.n}."
            )
        if not (np.isfinite(sd) & (sd > 0)).all():
            raise InvalidInputError(f"Normal needs finite standard deviations above zero; got sd={self.sd}.")
        sd, n = np.broadcast_arrays(sd, n)
        object.__setattr__(self, "sd", tuple(float(value) for value in sd))
        object.__setattr__(self, "n", tuple(int(value) for value in n))

    @property
    def standard_errors(self) -> FloatArray:
        """Standard errors of the observed means, shape (dim,)."""
        return np.asarray(self.sd) / np.sqrt(np.asarray(self.n, float))

    @property
    @override
    def dim(self) -> int:
        return len(np.atleast_1d(np.asarray(self.sd)))

    @property
    @override
    def coordinates(self) -> str:
        return "means of normal observations"

    @property
    @override
    def scales(self) -> tuple[str, ...]:
        return ("mean",) * self.dim

    @property
    @override
    def separable(self) -> bool:
        return True

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return namespace(theta).sum((theta / self.standard_errors) ** 2, axis=-1) / 2

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        shift = displacement / self.standard_errors
        return namespace(shift).sum(shift * (theta / self.standard_errors + shift / 2), axis=-1)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return infinity, because A'' is constant."""
        del displacements
        return np.full(len(theta), np.inf)

    @override
    def draw(self, key: Any) -> tuple[Array, ...]:
        """Return the observations' distances from their means."""
        from adagrid.families import _random  # loads JAX

        sizes = observations(self.n)
        noise = _random.by_arm(_random.normal(key, sum(sizes)), sizes)
        return tuple(own * sd for own, sd in zip(noise, self._spreads, strict=True))

    @override
    def data(self, draw: Sequence[Array], theta: FloatArray) -> tuple[Array, ...]:
        """Return the observations, one array per mean, shape (n,)."""
        return tuple(own.astype(theta.dtype) + mean for own, mean in zip(draw, theta, strict=True))

    @override
    def sufficient(self, data: Sequence[Array]) -> Array:
        """Return the sums of the observations over their variances."""
        return sums([own / sd**2 for own, sd in zip(data, self._spreads, strict=True)])

    @property
    def _spreads(self) -> list[float]:
        return np.atleast_1d(np.asarray(self.sd, float)).tolist()
