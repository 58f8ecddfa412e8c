"""Decides which statistics reject, and which are too near to the threshold to decide.

A statistic is rounded when it is computed: 6/30 in single precision is above 0.2. Within a few units in the last place
of the threshold nobody can tell whether the design, computed without rounding, would reject. Such ties count on the
safe side: as rejections where the Type I Error is bounded from above, and not where power is bounded from below. A
statistic that equals a threshold which its own type holds exactly, such as 9 patients or 0.5, is no tie: the design's
rule decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from adagrid._typing import Array, BoolArray

# Units in the last place within which a statistic ties with the threshold. Calibrated thresholds stay twice as far from
# the statistics that must not reject (`estimation.below_rounding`).
_ULPS = 4
# Thresholds nearer to 0 than this many times the least normal number have no neighbourhood: processors take them for 0.
_NEAR_ZERO = 2.0**30


@final
@dataclass(frozen=True)
class RejectionLimit:
    """What statistics of one type are compared with, turned so that small ones reject.

    Args:
        limit: statistics strictly below it reject,
        exception: but for those that are equal to this, with which it is the other way round; NaN for none.
    """

    limit: np.generic
    exception: np.generic

    @staticmethod
    def of(threshold: float, dtype: np.dtype[Any], *, weak: bool, ties: bool) -> RejectionLimit:
        """Return the limit at a threshold.

        Args:
            threshold: the threshold, turned so that small statistics reject.
            dtype: the type of the statistics.
            weak: whether a statistic that equals the threshold rejects.
            ties: whether statistics within rounding of the threshold count as rejections.
        """
        kind, none = dtype.type, dtype.type(np.nan)
        with np.errstate(over="ignore", under="ignore"):
            nearest = kind(threshold)
        exact = float(nearest) == threshold
        if not np.isfinite(threshold) or abs(threshold) < _NEAR_ZERO * float(np.finfo(dtype).tiny):
            equal = exact and weak  # infinities, 0, and what may be taken for 0
            return RejectionLimit(_rounded_up(threshold, dtype), nearest if equal else none)
        room = _ULPS * float(np.finfo(dtype).eps) * abs(threshold)
        if ties:
            beyond = np.nextafter(_up(threshold + room, dtype), kind(np.inf))
            return RejectionLimit(beyond, none if weak or not exact else nearest)
        return RejectionLimit(kind(-_up(room - threshold, dtype)), nearest if weak and exact else none)

    def rejects(self, statistics: Array) -> BoolArray:
        """Return which statistics reject; NaN does not."""
        return (statistics < self.limit) ^ (statistics == self.exception)


def near(statistics: Array, threshold: float) -> BoolArray:
    """Return which statistics tie with a threshold, both turned the same way."""
    certain, at_most = (RejectionLimit.of(threshold, statistics.dtype, weak=False, ties=ties) for ties in (False, True))
    return at_most.rejects(statistics) & ~certain.rejects(statistics)


def _up(number: float, dtype: np.dtype[Any]) -> Any:
    """Return the smallest number of a type that is not below a number."""
    with np.errstate(over="ignore", under="ignore"):
        limit = dtype.type(number)
    return np.nextafter(limit, dtype.type(np.inf)) if float(limit) < number else limit


def _rounded_up(threshold: float, dtype: np.dtype[Any]) -> Any:
    """Return the smallest number of a type that is not below a threshold near 0.

    A statistic of that type is below the one exactly when it is below the other. Devices may take subnormal numbers for
    zero, in statistics and thresholds alike: a positive subnormal threshold becomes a normal one.
    """
    limit, smallest = _up(threshold, dtype), np.finfo(dtype).tiny
    return smallest if 0 < limit < smallest else limit
