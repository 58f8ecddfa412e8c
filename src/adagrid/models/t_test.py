"""The one-sample t-test."""

from __future__ import annotations

from typing import ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid.errors import InvalidInputError
from adagrid.families import NormalUnknownVariance
from adagrid.models.model import Model, RejectWhen


@final
class TTest(Model):
    """One-sided t-test of a normal mean with unknown variance.

    The statistic is sqrt(n) * mean / s, where s^2 is the sample variance (Student 1908, Biometrika 6:1). Large values
    reject that the mean is at most zero. At a true mean of zero the statistic has the t distribution with n - 1 degrees
    of freedom, whatever the variance is. At any other mean it has the noncentral t distribution.

    The parameters are mu / sigma^2 and -1 / (2 sigma^2), so that mu <= 0 is theta0 <= 0. The design draws the mean and
    the sample variance instead of the observations. They are independent: the mean is normal, and the variance is a
    multiple of a chi-squared variable.

    Args:
        n: observations, at least 2.

    Raises:
        InvalidInputError: if n is anything else.

    Examples:
        >>> design = ada.TTest(n=20)
        >>> design.null_hypos
        ['theta0 <= 0']
        >>> grid = ada.cartesian_grid([-0.5, -0.7], [0.1, -0.3], n=1, null_hypos=design.null_hypos)
        >>> run = ada.ada_calibrate(design, alpha=0.025, grid=grid)  # doctest: +SKIP
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(self, n: int) -> None:
        size = int(whole_numbers("n", n)[0])
        if np.ndim(n) or size < 2:
            raise InvalidInputError(
                f"TTest needs n, one number of observations of at least 2, for a variance; got n={n}."
            )
        self.family = NormalUnknownVariance(size)
        self._df, self._root = float(size - 1), float(np.sqrt(size))

    @property
    def null_hypos(self) -> list[str]:
        """The null hypothesis, for `cartesian_grid`."""
        return ["theta0 <= 0"]

    @override
    def draw(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return sqrt(n) mean / sigma under a mean of zero, and sigma / s."""
        normal, squares = jax.random.split(key)
        return jax.random.normal(normal), jnp.sqrt(self._df / jax.random.chisquare(squares, self._df))

    @override
    def statistic(self, draw: tuple[jax.Array, jax.Array], theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        z, scale = draw
        drift = theta[0] * jnp.sqrt(-0.5 / theta[1])  # mu / sigma
        return (z + self._root * drift) * scale
