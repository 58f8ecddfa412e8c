"""Group-sequential t-tests of one mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers, whole_numbers
from adagrid.errors import InvalidInputError
from adagrid.families import NormalUnknownVariance
from adagrid.models.model import Model, RejectWhen


@final
class GroupSequentialT(Model):
    """Group-sequential t-test of a normal mean with unknown variance.

    The null hypothesis is that the mean is at most zero. At look k, with n_k observations so far, the trial stops and
    rejects if their t statistic t_k > threshold * c_k. The statistic is the largest t_k / c_k, so large values reject.

    To use boundaries for known variances, keep their tail probability, now of the t distribution with n_k - 1 degrees
    of freedom (Pocock 1977, Biometrika 64:191; Jennison and Turnbull 1999, Group Sequential Methods with Applications
    to Clinical Trials, chapters 3 and 4). Such boundaries keep the level approximately. A calibrated threshold
    guarantees it.

    The parameters are mu / sigma^2 and -1 / (2 sigma^2), so that mu <= 0 is theta0 <= 0. The design draws the mean and
    the sum of squares of the observations between two looks instead of the observations, and accumulates both.

    Args:
        n: observations up to each look: they increase, and the first number is at least 2.
        boundary: c_k above zero, one for all looks or one per look. With 1.0 the threshold is the boundary. Infinity
            means that the trial never rejects at this look.

    Raises:
        InvalidInputError: with everything that is wrong with the arguments.

    Examples:
        >>> design = ada.GroupSequentialT(n=(10, 20), boundary=(1.4, 1.0))
        >>> design.null_hypos
        ['theta0 <= 0']
        >>> grid = ada.cartesian_grid([-0.5, -0.7], [0.1, -0.3], n=1, null_hypos=design.null_hypos)
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(self, n: Sequence[int], boundary: float | Sequence[float] = 1.0) -> None:
        sizes, constants, problems = whole_numbers("n", n), real_numbers("boundary", boundary), []
        if sizes[0] < 2 or (np.diff(sizes) < 1).any():
            problems.append(
                f"n must be the numbers of observations up to each look, which increase from at least 2; got n={n}."
            )
        if constants.ndim > 1 or constants.size not in (1, len(sizes)) or not (constants > 0).all():
            problems.append(
                f"boundary must be one number above zero or {len(sizes)}, one per look; got boundary={boundary}."
            )
        elif np.isinf(constants).all():
            problems.append(f"boundary must be finite at one look at least; got boundary={boundary}.")
        if problems:
            raise InvalidInputError(problems)
        self.family = NormalUnknownVariance(int(sizes[-1]))
        self._n = sizes.tolist()
        self._stages = np.diff(sizes, prepend=0).tolist()
        self._constants = np.broadcast_to(constants, sizes.shape).tolist()

    @property
    def null_hypos(self) -> list[str]:
        """The null hypothesis, for `cartesian_grid`."""
        return ["theta0 <= 0"]

    @override
    def draw(self, key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
        """Return, for every look, sqrt(n_k) mean / sigma under a mean of zero, and sigma / s."""
        normal, squares = jax.random.split(key)
        noise = jax.random.normal(normal, (len(self._n),))
        # a stage of one observation has no sum of squares of its own: what is drawn for it is not used
        within = jax.random.chisquare(squares, np.maximum(np.asarray(self._stages, np.float32) - 1, 1))
        total, square = jnp.zeros(()), jnp.zeros(())
        looks, before = [], 0
        for k, (stage, n) in enumerate(zip(self._stages, self._n, strict=True)):
            added = np.sqrt(stage) * noise[k]
            if before:
                between = added / stage - total / before
                square = square + before * stage / n * between**2
            if stage > 1:
                square = square + within[k]
            total, before = total + added, n
            looks.append((total / np.sqrt(n), jnp.sqrt((n - 1) / square)))
        return tuple(looks)

    @override
    def statistic(
        self, draw: tuple[tuple[jax.Array, jax.Array], ...], theta: jax.Array, null_truth: jax.Array
    ) -> jax.Array:
        drift = theta[0] * jnp.sqrt(-0.5 / theta[1])  # mu / sigma
        largest = jnp.full_like(draw[0][0], -jnp.inf)
        for (z, scale), n, constant in zip(draw, self._n, self._constants, strict=True):
            if constant < np.inf:
                largest = jnp.maximum(largest, (z + float(np.sqrt(n)) * drift) * scale / constant)
        return largest
