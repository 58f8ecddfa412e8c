"""Comparison of two arms of exponential waiting times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid.errors import InvalidInputError
from adagrid.families import Exponential
from adagrid.models._two_arms import two_arms
from adagrid.models.model import Model, RejectWhen


@final
class TwoExponentials(Model):
    """One-sided tests of two arms of exponential waiting times.

    All waiting times are fully observed. Large statistics reject that waiting times under treatment are at most as long
    as under control. With mean waiting times m0 and m1 of n0 and n1 observations the statistic is

    - "f": m1 / m0. If the hazards are equal, it has the F distribution with 2 n1 and 2 n0 degrees of freedom: the exact
      test (Epstein and Tsao 1953, Annals of Mathematical Statistics 24:458).
    - "wald": log(m1 / m0) / sqrt(1 / n0 + 1 / n1), for comparison with normal quantiles. This test rejects too often in
      small arms.

    The parameters are the hazards, the control's first.

    Args:
        n: observations per arm: a number for both, or (control, treatment).
        test: "f" or "wald".

    Raises:
        InvalidInputError: if an argument is anything else.

    Examples:
        >>> design = ada.TwoExponentials(n=(40, 40))
        >>> design.null_hypos
        ['theta1 >= theta0']
        >>> ada.cartesian_grid([0.1, 0.1], [0.3, 0.3], n=2, null_hypos=design.null_hypos)
        <Grid: 3 tiles, theta0 0.1 to 0.3, theta1 0.1 to 0.3; null: theta0 - theta1 <= 0>
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(self, n: int | Sequence[int], test: Literal["f", "wald"] = "f") -> None:
        sizes = two_arms("TwoExponentials", n)
        if test not in ("f", "wald"):
            raise InvalidInputError(f"test must be 'f' or 'wald'; got test={test!r}.")
        self.family = Exponential(sizes)
        self._sizes = np.asarray(sizes, np.float32)
        self._standard_error = float(np.sqrt((1 / self._sizes).sum())) if test == "wald" else None

    @property
    def null_hypos(self) -> list[str]:
        """The null hypothesis that the treatment's hazard is no lower, for `cartesian_grid`."""
        return ["theta1 >= theta0"]

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        """Return the mean waiting times under hazards of 1, shape (2,)."""
        return jax.random.gamma(key, self._sizes) / self._sizes

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        control, treatment = draw / theta
        ratio = treatment / control
        return ratio if self._standard_error is None else jnp.log(ratio) / self._standard_error
