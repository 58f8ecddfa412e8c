"""A difference of two response probabilities as a null hypothesis, where the parameters are logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import expit
from typing_extensions import override

from adagrid._checks import real_number
from adagrid._typing import FloatArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import NullHypothesis

# Absolute rounding errors of differences of probabilities, many times over.
_ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class RiskDifference(NullHypothesis):
    """The null hypothesis p_treatment - p_control <= margin.

    The parameters are logits, as for `Binomial`. To show that a treatment is not inferior by 10 percentage points, the
    margin is -0.1. If responses are harmful, exchange the arms: p_control - p_treatment <= -0.1.

    Args:
        treatment: number of the parameter of the treatment's arm.
        control: number of the parameter of the control's arm.
        margin: between -1 and 1.

    Raises:
        InvalidInputError: if the arms are not two different parameters, or the margin is no possible difference.

    Examples:
        >>> null = ada.RiskDifference(treatment=1, control=0, margin=-0.1)
        >>> null.describe()
        'expit(theta1) - expit(theta0) <= -0.1'
        >>> ada.cartesian_grid([0.2, 0.2], [0.4, 0.4], n=2, null_hypos=[null], scale="probability")
        <Grid: ... tiles, theta0 ... to ..., theta1 ... to ...; null: expit(theta1) - expit(theta0) <= -0.1>
    """

    treatment: int = 1
    control: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        arms = (self.treatment, self.control)
        whole = all(isinstance(arm, (int, np.integer)) and not isinstance(arm, bool) and arm >= 0 for arm in arms)
        if not whole or self.treatment == self.control:
            raise InvalidInputError(
                "treatment and control must be the numbers of two parameters, counted from 0; got "
                f"treatment={self.treatment}, control={self.control}."
            )
        margin = real_number("margin", self.margin)
        if not -1 < margin < 1:
            raise InvalidInputError(f"-1 < margin < 1 must hold for a difference of probabilities; got {self.margin}.")
        object.__setattr__(self, "margin", margin)

    @property
    @override
    def probabilities(self) -> tuple[int, ...]:
        return (self.control, self.treatment)

    @override
    def in_dimension(self, dim: int) -> RiskDifference:
        if max(self.treatment, self.control) >= dim:
            raise InvalidInputError(
                f"The null hypothesis {self.describe()} needs theta{max(self.treatment, self.control)}, but the grid "
                f"has only {dim} parameters (theta0 to theta{dim - 1})."
            )
        return self

    @override
    def dist(self, theta: FloatArray) -> FloatArray:
        return self._below(theta[..., self.treatment], theta[..., self.control])

    @override
    def side(self, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Decide boxes by two corners.

        Probabilities rise with their logits, so these corners have the largest and the least difference.
        """
        least = self._below(upper[:, self.treatment], lower[:, self.control])
        most = self._below(lower[:, self.treatment], upper[:, self.control])
        return np.where(least > _ROUNDING, 1, np.where(most < -_ROUNDING, -1, 0))

    @override
    def describe(self) -> str:
        return f"expit(theta{self.treatment}) - expit(theta{self.control}) <= {self.margin:.10g}"

    def _below(self, treatment: FloatArray, control: FloatArray) -> FloatArray:
        """Return by how much the difference of probabilities stays below the margin."""
        return self.margin - (expit(treatment) - expit(control))
