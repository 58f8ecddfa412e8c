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
    """One-sided tests that waiting times of a treatment are longer than a control's, all fully observed.

    With mean waiting times m0 and m1 of n0 and n1 exponential observations, large values of one of these reject:

    - "f": m1 / m0, which has the F distribution with 2 n1 and 2 n0 degrees of freedom where the hazards are equal: the
      exact test (Epstein and Tsao 1953, Annals of Mathematical Statistics 24:458).
    - "wald": log(m1 / m0) / sqrt(1 / n0 + 1 / n1), to be compared with normal quantiles. It rejects too often in small
      arms.

    The parameters are the hazards, the control's first.

    Args:
        n: observations per arm: a number for both, or (control, treatment).
        test: "f" or "wald".

    Raises:
        InvalidInputError: if an argument is anything else.
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
