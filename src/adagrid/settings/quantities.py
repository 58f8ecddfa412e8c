"""What a validation bounds: the Type I Error, the power, or the mean of a bounded statistic.

Each of them is a linear function of the probability of an event in a trial, and it is this probability that is counted
and bounded, from above and from below, in the same way for all. What is adapted and what decides is its upper bound:
that of the Type I Error; of the Type II Error, hence a lower bound of the power; of the mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeAlias, final

import numpy as np
from typing_extensions import override

from adagrid._typing import ArrayLike, FloatArray, IntArray
from adagrid.estimation import clopper_pearson_lower, clopper_pearson_upper

QuantityName: TypeAlias = Literal["error", "power", "mean"]
Range: TypeAlias = tuple[float, float]

# Relative amount by which computed probabilities may have been rounded up, generously.
_ROUNDED_UP = 2e-9
# Computed probabilities up to this may be of events that are possible, but whose parts have underflowed: nothing more
# is known of them. (A mean that is 0 at one point would be 0 at all others, too.)
VANISHING = 1e-290
# By how much the probability of the event "a uniform number is below the rescaled statistic" may differ from the
# rescaled mean: single precision has 2^23 uniform numbers, and rescaling rounds by 2^-24 of what it handles.
_RESCALED = 2.0**-20


@final
class Limits(NamedTuple):
    """An estimate of a probability at points, and its limits, each of shape (points,)."""

    estimate: FloatArray
    lower: FloatArray
    upper: FloatArray


class Quantity(ABC):
    """What is bounded."""

    prefix: ClassVar[str]
    """Of the columns that show it."""
    noun: ClassVar[str]
    """What it is called in full."""
    word: ClassVar[str]
    """What it is called in short."""
    side: ClassVar[Literal["upper", "lower"]] = "upper"
    """On which side of it the bound lies that is adapted and decides."""
    ties: ClassVar[bool] = True
    """Whether statistics within rounding of the threshold count as rejections: on the safe side of that bound."""
    scale: ClassVar[float] = 100.0
    """What it is multiplied by where it is drawn."""
    sign: ClassVar[str] = "%"
    """What stands behind it then."""

    def events(self, rejections: IntArray, n_sims: IntArray) -> IntArray:
        """Return how often the event was seen, shape (points,)."""
        del n_sims
        return rejections

    def limits(self, rejections: IntArray, n_sims: IntArray, level: ArrayLike) -> Limits:
        """Return estimates and limits of the event's probability, each limit with confidence 1 - level.

        Args:
            rejections: trials that reject, shape (points,).
            n_sims: simulated trials.
            level: one minus the confidence, shape (points,) or a number.
        """
        seen = self.events(rejections, n_sims)
        lower = clopper_pearson_lower(seen, n_sims, level)
        return Limits(seen / n_sims, lower, clopper_pearson_upper(seen, n_sims, level))

    def computed(self, rejecting: FloatArray) -> Limits:
        """Return the same from probabilities of rejection that are computed, rounded up."""
        lower = np.where(rejecting > VANISHING, rejecting * (1 - _ROUNDED_UP), 0.0)
        return Limits(rejecting, lower, np.maximum(rejecting, VANISHING))

    def rejecting(self, event: FloatArray) -> FloatArray:
        """Return probabilities of rejection from those of the event."""
        return event

    @abstractmethod
    def value(self, probability: ArrayLike) -> FloatArray:
        """Return what the quantity is where the event has a probability."""

    @abstractmethod
    def probability(self, value: float) -> float:
        """Return the probability of the event where the quantity has a value."""

    def interval(self, lower: ArrayLike, upper: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds of the quantity, rounded outwards, from those of the event's probability."""
        ends = self.value(lower), self.value(upper)
        return np.minimum(*ends), np.maximum(*ends)

    def figures(self, bound: float, estimate: float, slack: float) -> dict[str, float]:
        """Return figures for people, from the event's largest bound and estimate, and the largest slack."""
        return {"bound": float(self.value(bound)), "estimate": float(self.value(estimate)), "slack": slack}


@final
class TypeIError(Quantity):
    """The probability to reject a true null hypothesis."""

    prefix, noun, word = "tie", "Type I Error", "error"

    @override
    def value(self, probability: ArrayLike) -> FloatArray:
        return np.asarray(probability, float)

    @override
    def probability(self, value: float) -> float:
        return value


@final
class Power(Quantity):
    """The probability to reject; the event is that a trial does not."""

    prefix, noun, word, side, ties = "power", "power", "power", "lower", False

    @override
    def events(self, rejections: IntArray, n_sims: IntArray) -> IntArray:
        return n_sims - rejections

    @override
    def computed(self, rejecting: FloatArray) -> Limits:
        upper = np.minimum(np.nextafter(1 - rejecting * (1 - _ROUNDED_UP), 2), 1.0)
        return Limits(upper, np.nextafter(1 - rejecting, -1).clip(0.0), upper)

    @override
    def rejecting(self, event: FloatArray) -> FloatArray:
        return (1 - event) / (1 - _ROUNDED_UP)

    @override
    def value(self, probability: ArrayLike) -> FloatArray:
        return 1 - np.asarray(probability, float)

    @override
    def probability(self, value: float) -> float:
        return 1 - value

    @override
    def interval(self, lower: ArrayLike, upper: ArrayLike) -> tuple[FloatArray, FloatArray]:
        least, most = super().interval(lower, upper)
        return np.maximum(np.nextafter(least, 0), 0.0), np.minimum(np.nextafter(most, 1), 1.0)


@final
@dataclass(frozen=True)
class Mean(Quantity):
    """The mean of a statistic with values in a range; the event is that a uniform number is below it, rescaled.

    Such an event is counted and bounded like any other (Clopper and Pearson). Its limits are closer than those of
    Hoeffding (1963, Journal of the American Statistical Association 58:13, theorem 1), which hold for the mean of the
    statistic itself: about 2.33 / (2 sqrt(n)) from the estimate at most, and not 3.03 / (2 sqrt(n)), with confidence
    99%.

    Args:
        lowest: the least value.
        highest: the largest value.
    """

    lowest: float
    highest: float

    prefix, noun, word, scale, sign = "mean", "mean of the statistic", "mean", 1.0, ""

    @property
    def inaccuracy(self) -> float:
        """By how much the event's probability may differ from the mean, as a share of the range."""
        return _RESCALED * (1 + (abs(self.lowest) + abs(self.highest)) / (self.highest - self.lowest))

    @override
    def limits(self, rejections: IntArray, n_sims: IntArray, level: ArrayLike) -> Limits:
        estimate, lower, upper = super().limits(rejections, n_sims, level)
        return Limits(estimate, np.maximum(lower - self.inaccuracy, 0.0), np.minimum(upper + self.inaccuracy, 1.0))

    @override
    def value(self, probability: ArrayLike) -> FloatArray:
        share = np.asarray(probability, float)
        return self.lowest * (1 - share) + self.highest * share

    @override
    def probability(self, value: float) -> float:
        return (value - self.lowest) / (self.highest - self.lowest)

    @override
    def interval(self, lower: ArrayLike, upper: ArrayLike) -> tuple[FloatArray, FloatArray]:
        least, most = super().interval(lower, upper)
        rounding = 4 * np.finfo(float).eps * max(abs(self.lowest), abs(self.highest))
        return np.maximum(least - rounding, self.lowest), np.minimum(most + rounding, self.highest)

    @override
    def figures(self, bound: float, estimate: float, slack: float) -> dict[str, float]:
        figures = super().figures(bound, estimate, slack)
        return {"bound of the mean": figures["bound"], "its estimate": figures["estimate"], "slack": figures["slack"]}


def quantity_of(name: QuantityName, value_range: Range | None) -> Quantity:
    """Return what a name stands for.

    Args:
        name: the name.
        value_range: least and largest value of the statistic, for its mean.
    """
    if name == "mean":
        assert value_range is not None  # noqa: S101 - settings see to it
        return Mean(*value_range)
    return TypeIError() if name == "error" else Power()
