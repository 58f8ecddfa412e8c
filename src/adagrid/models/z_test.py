"""The one-sided z-test."""

from __future__ import annotations

from typing import ClassVar, final

import jax
import numpy as np
from typing_extensions import override

from adagrid.errors import InvalidInputError
from adagrid.families import Normal
from adagrid.models.model import Model, RejectWhen


@final
class ZTest(Model):
    """One-sided z-test of a normal mean with known variance.

    The statistic is sqrt(n) * mean / sd, and large values reject that the mean is at most zero. At a true mean theta
    the error is Phi(sqrt(n) * theta / sd - threshold). With the defaults theta is in units of the standard error.

    Args:
        n: observations.
        sd: standard deviation of one observation.

    Examples:
        >>> design = ada.ZTest(n=25, sd=2.0)
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["theta0 <= 0"])
        >>> run = ada.validate(design, threshold=1.96, grid=grid, n_sims=1024)
        >>> 0.025 < run.bound < 0.1
        True
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(self, n: int = 1, sd: float = 1.0) -> None:
        self.family = Normal(sd=sd, n=n)
        if self.family.dim > 1:
            raise InvalidInputError(f"ZTest has one arm: one n and one sd; got n={n}, sd={sd}. Several: Dunnett.")
        self._scale = float(np.sqrt(int(n)) / float(sd))

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key)

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        return draw + self._scale * theta[0]
