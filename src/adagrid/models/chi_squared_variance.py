"""The chi-squared test of one variance."""

from __future__ import annotations

from typing import Literal, final

import jax
import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers, whole_numbers
from adagrid.errors import InvalidInputError
from adagrid.families import ScaledChiSquared
from adagrid.models.model import Model


@final
class ChiSquaredVariance(Model):
    """One-sided chi-squared test of the variance of normal observations.

    The statistic is the sum of squared deviations from the mean, divided by the variance that the null hypothesis
    states. On the boundary of the null hypothesis it has the chi-squared distribution with n - 1 degrees of freedom, so
    thresholds are quantiles of this distribution (Lehmann and Romano 2005, Testing Statistical Hypotheses, chapter 5).
    With alternative="larger", large values reject that the variance is at most `variance`. With alternative="smaller",
    small values reject that the variance is at least `variance`.

    The parameter is the precision 1 / sigma^2.

    Args:
        n: observations, at least 2.
        variance: the variance that the null hypothesis states, above zero.
        alternative: "larger" or "smaller": what the trial claims.

    Raises:
        InvalidInputError: with everything that is wrong with the arguments.

    Examples:
        >>> design = ada.ChiSquaredVariance(n=20, variance=4.0, alternative="smaller")
        >>> design.null_hypos
        ['theta0 <= 0.25']
        >>> ada.cartesian_grid([0.1], [0.25], n=4, null_hypos=design.null_hypos)
        <Grid: 4 tiles, theta0 0.1 to 0.25; null: theta0 <= 0.25>
    """

    def __init__(self, n: int, variance: float = 1.0, *, alternative: Literal["larger", "smaller"] = "larger") -> None:
        size, problems = int(whole_numbers("n", n)[0]), []
        if np.ndim(n) or size < 2:
            problems.append(f"n must be one number of observations of at least 2, for a variance; got n={n}.")
        if np.ndim(variance) or not 0 < real_numbers("variance", variance) < np.inf:
            problems.append(f"variance must be one finite number above zero; got variance={variance}.")
        if alternative not in ("larger", "smaller"):
            problems.append(f"alternative must be 'larger' or 'smaller'; got alternative={alternative!r}.")
        if problems:
            raise InvalidInputError(problems)
        self.family = ScaledChiSquared(float(size - 1))
        self.reject_when = "large" if alternative == "larger" else "small"  # type: ignore[misc]
        self._df, self._variance = float(size - 1), float(variance)

    @property
    def null_hypos(self) -> list[str]:
        """The null hypothesis, for `cartesian_grid`."""
        return [f"theta0 {'>=' if self.reject_when == 'large' else '<='} {1 / self._variance!r}"]

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.chisquare(key, self._df)

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        return draw / (self._variance * theta[0])
