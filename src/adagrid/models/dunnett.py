"""Dunnett's comparison of several normal means with one control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import jax
import numpy as np
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid.errors import InvalidInputError
from adagrid.families import Normal
from adagrid.models._family_wise import largest_of_true
from adagrid.models.model import Model, RejectWhen


@final
class Dunnett(Model):
    """Dunnett's z-tests of several normal means against one control.

    The standard deviation is known. With Z_i = (mean_i - mean_0) / (sd sqrt(1/n_i + 1/n_0)), each Z_i above the
    threshold rejects its null hypothesis: the i-th treatment's mean is at most the control's. The statistic is the
    largest Z_i of a true null hypothesis, so the error is the family-wise error rate (Dunnett 1955, JASA 50:1096, with
    the standard deviation known). The error depends only on the differences between the treatments' means and the
    control's. It is largest where all means are equal.

    The parameters are the means, the control's first. `null_hypos` lists the hypotheses in the order that the statistic
    expects.

    Args:
        treatments: how many treatments.
        n: observations per arm: a number for all, or one per arm, the control's first.
        sd: standard deviation of one observation.

    Examples:
        >>> design = ada.Dunnett(treatments=2, n=(60, 40, 40), sd=5.0)
        >>> design.null_hypos
        ['theta1 <= theta0', 'theta2 <= theta0']
        >>> grid = ada.cartesian_grid([-1] * 3, [1] * 3, n=1, null_hypos=design.null_hypos)
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(self, treatments: int, n: int | Sequence[int] = 1, sd: float = 1.0) -> None:
        arms = int(whole_numbers("treatments", treatments)[0]) + 1
        sizes = whole_numbers("n", n)
        if np.ndim(treatments) or len(sizes) not in (1, arms) or np.ndim(sd):
            raise InvalidInputError(
                "Dunnett needs one number of treatments, one sd, and one n for all arms or one per arm, the control's "
                f"first; got treatments={treatments}, n={n}, sd={sd}."
            )
        self.family = Normal(sd=sd, n=np.broadcast_to(sizes, arms).tolist())
        errors = self.family.standard_errors
        self._errors = errors.tolist()
        self._per_unit = (1 / np.sqrt(errors[1:] ** 2 + errors[0] ** 2)).tolist()

    @property
    def null_hypos(self) -> list[str]:
        """The null hypotheses, for `cartesian_grid`."""
        return [f"theta{i} <= theta0" for i in range(1, self.family.dim)]

    @override
    def draw(self, key: jax.Array) -> tuple[jax.Array, ...]:
        """Return Z_i under equal means, one array per treatment."""
        noise = jax.random.normal(key, (self.family.dim,))
        control = self._errors[0] * noise[0]
        return tuple(
            (error * own - control) * scale
            for error, own, scale in zip(self._errors[1:], noise[1:], self._per_unit, strict=True)
        )

    @override
    def statistic(self, draw: tuple[jax.Array, ...], theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        z = [
            null + (mean - theta[0]) * scale for null, mean, scale in zip(draw, theta[1:], self._per_unit, strict=True)
        ]
        return largest_of_true(z, null_truth)
