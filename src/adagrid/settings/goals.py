"""The goals of jobs: to bound a quantity for a threshold, or to find a threshold that keeps a level."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias, final

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtri

from adagrid._typing import ArrayLike, IntArray
from adagrid.estimation import calibration_rank, confident_rank
from adagrid.settings.options import Options
from adagrid.settings.quantities import Quantity, QuantityName, Range, quantity_of

Kind: TypeAlias = Literal["validate", "calibrate"]

# The least normal number in single precision.
_SUBNORMAL = float(np.finfo(np.float32).tiny)


@final
class Validation(Options):
    """Bound a quantity over the region.

    Attributes:
        quantity: what is bounded: "error", "power" or "mean".
        threshold: the rejection threshold, in the design's own direction; None for means, where nothing is rejected.
        value_range: least and largest value of the statistic, for its mean; None otherwise.
        delta: one minus the confidence of each bound at each point.
        max_target: converged when tiles that could hold the worst error have at most this slack
        global_target: and every tile has at most this slack. Of a mean, slacks are shares of the range.
    """

    words = frozenset({"kind", "quantity"})
    targets: ClassVar = frozenset({"max_target", "global_target"})

    kind: Literal["validate"] = "validate"
    quantity: QuantityName = Field(default="error", description="'error', 'power' or 'mean'")
    threshold: float | None = Field(default=None, strict=True, description="a finite number")
    value_range: Range | None = Field(default=None, description="two finite numbers, the lower one first")
    delta: float = Field(default=0.01, gt=0, lt=0.5, description="one minus the confidence, between 0 and 0.5")
    max_target: float = Field(default=0.002, ge=0, description="a slack in the Type I Error, from 0")
    global_target: float = Field(default=0.005, ge=0, description="a slack in the Type I Error, from 0")

    @property
    def bounded(self) -> Quantity:
        """The quantity that is bounded."""
        return quantity_of(self.quantity, self.value_range)

    @property
    def rejection_limit(self) -> float:
        """The number that statistics are compared with. For a mean, whose statistic is rounded, it is 0."""
        return 0.0 if self.threshold is None else self.threshold

    @model_validator(mode="after")
    def _complete(self) -> Validation:
        if self.quantity != "mean" and self.threshold is None:
            raise ValueError("A validation needs threshold=, in the design's own direction; got None.")
        if self.quantity == "power" and self.threshold and abs(self.threshold) < _SUBNORMAL:
            raise ValueError(
                f"Processors may take numbers nearer to 0 than {_SUBNORMAL:.2g} for 0: statistics that a threshold "
                f"among them accepts could count as rejecting, which overstates power; got {self.threshold}. Use 0."
            )
        if self.quantity == "mean" and self.threshold is not None:
            raise ValueError(
                f"quantity='mean' bounds the mean of the statistic itself and takes no threshold; got {self.threshold}."
            )
        if (self.quantity == "mean") != (self.value_range is not None):
            raise ValueError(
                "The value_range of the statistic belongs to quantity='mean' and to nothing else; got "
                f"quantity={self.quantity!r} and value_range={self.value_range}."
            )
        return self


@final
class Calibration(Options):
    """Find the threshold that keeps the error at or below a level over the region.

    Attributes:
        alpha: the level at which the error is controlled.
        confidence: with which the threshold keeps the error at or below alpha everywhere in the region; None keeps the
            expected error there.
        grid_target: converged when the worst tile loses at most this much of alpha to its size,
        bias_target: the bias of the threshold, in units of error, is at most this,
        std_target: and its standard deviation at most this.
    """

    words = frozenset({"kind"})
    targets: ClassVar = frozenset({"grid_target", "bias_target", "std_target"})

    kind: Literal["calibrate"] = "calibrate"
    alpha: float = Field(default=0.025, gt=0, lt=1, description="a level between 0 and 1")
    confidence: float | None = Field(default=None, gt=0.5, lt=1, description="a confidence between 0.5 and 1, or None")
    grid_target: float = Field(default=0.001, ge=0, description="a slack in the Type I Error, from 0")
    bias_target: float = Field(default=0.001, ge=0, description="a slack in the Type I Error, from 0")
    std_target: float = Field(default=0.002, ge=0, description="a slack in the Type I Error, from 0")

    def rank(self, n_sims: ArrayLike, level: ArrayLike) -> IntArray:
        """Return the ranks of thresholds at simulated points.

        Every point has the whole confidence: the least of their thresholds is too large only if the one at a certain
        point is, which point depends on the design alone (docs/guarantee.md, section 5).

        Args:
            n_sims: numbers of simulations.
            level: levels, broadcast against n_sims.
        """
        if self.confidence is None:
            return calibration_rank(n_sims, level)
        return confident_rank(n_sims, level, 1 - self.confidence)

    @property
    def margin(self) -> float:
        """By about how many standard errors ranks are below those of the expectation; 0 without a confidence."""
        return 0.0 if self.confidence is None else float(ndtri(self.confidence))


Goal: TypeAlias = Validation | Calibration
GOALS: dict[Kind, type[Validation] | type[Calibration]] = {"validate": Validation, "calibrate": Calibration}
