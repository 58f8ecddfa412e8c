"""The sample size of group-sequential tests, whose mean is bounded like an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers
from adagrid.errors import InvalidInputError
from adagrid.models.design import Design
from adagrid.models.group_sequential import GroupSequential


@final
class GroupSequentialSize(Design):
    """Share of all observations that a group-sequential z-test uses.

    Use it with `quantity="mean"`. The trial is a `GroupSequential`. It ends at the first look at which it rejects,
    Z_k > threshold * c_k, or stops for futility. Otherwise it ends at the last look. The mean of the statistic times n
    is the expected sample size (Jennison and Turnbull 1999, Group Sequential Methods with Applications to Clinical
    Trials, chapter 2).

    Args:
        looks: how many, equally spaced; or the share of the observations at each, increasing to 1. At least two.
        boundary: "pocock", "obrien-fleming", the exponent D, or one positive constant c_k per look.
        threshold: the threshold with which the trial rejects, finite.
        futility: one bound per look but the last; -inf for a look without a bound.
        two_sided: whether small means also reject: |Z_k| instead of Z_k.
        n: observations at the last look.
        sd: standard deviation of one observation.

    Raises:
        InvalidInputError: with what is wrong with the arguments.

    Examples:
        >>> design = ada.GroupSequentialSize(2, "obrien-fleming", threshold=1.977, n=100)
        >>> design.value_range
        (0.5, 1.0)
        >>> grid = ada.cartesian_grid([0], [0.5])
        >>> run = ada.ada_validate(design, grid=grid, quantity="mean")  # doctest: +SKIP
    """

    def __init__(
        self,
        looks: int | Sequence[float],
        boundary: str | float | Sequence[float] = "obrien-fleming",
        *,
        threshold: float,
        futility: Sequence[float] | None = None,
        two_sided: bool = False,
        n: int = 1,
        sd: float = 1.0,
    ) -> None:
        self._trial = GroupSequential(looks, boundary, futility=futility, two_sided=two_sided, n=n, sd=sd)
        problems = []
        if np.ndim(threshold) or not np.isfinite(real_numbers("threshold", threshold)):
            problems.append(f"threshold must be one finite number; got threshold={threshold}.")
        if len(self._trial.shares) < 2:
            problems.append(f"A trial with one look always uses all observations; got looks={looks}. Give two or more.")
        if problems:
            raise InvalidInputError(problems)
        self.family = self._trial.family
        self.value_range = (self._trial.shares[0], 1.0)  # type: ignore[misc]
        self._threshold = float(threshold)

    @override
    def draw(self, key: jax.Array) -> tuple[jax.Array, ...]:
        """Return Z_k under a mean of zero, one array per look."""
        return self._trial.draw(key)

    @override
    def data(self, draw: tuple[jax.Array, ...], theta: jax.Array) -> tuple[jax.Array, ...]:
        """Return Z_k, one array per look."""
        return self._trial.data(draw, theta)

    @override
    def sufficient(self, data: tuple[jax.Array, ...]) -> jax.Array:
        return self._trial.sufficient(data)

    @override
    def statistic(self, data: tuple[jax.Array, ...], null_truth: jax.Array) -> jax.Array:
        size = jnp.ones_like(data[0])
        stops = [(scaled > self._threshold) | futile for scaled, futile in self._trial.at_looks(data)]
        # backwards, so that the first look at which it stops has the last word
        for share, stop in reversed(list(zip(self._trial.shares[:-1], stops[:-1], strict=True))):
            size = jnp.where(stop, share, size)
        return size
