"""The order statistic that calibrates a threshold at one point."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from adagrid._typing import ArrayLike, FloatArray, IntArray


def calibration_rank(n_sims: ArrayLike, level: ArrayLike) -> IntArray:
    """Return r = floor((N + 1) * level), the rank of the threshold among N simulated statistics.

    The r-th smallest of N independent statistics lies at or below an N + 1-st one's level-quantile on average:
    rejecting below it has an expected error of at most r / (N + 1) <= level. Rank 0 stands for the
    threshold -inf, which never rejects.

    Args:
        n_sims: N, whole numbers.
        level: in [0, 1], broadcast against n_sims.

    Returns:
        Ranks from 0 to N, exact: a product that floating point rounds up to a whole number is not rounded up.
    """
    count, target = np.broadcast_arrays(np.asarray(n_sims, np.int64), np.asarray(level, float))
    product = (count + 1) * target
    rank = np.array(np.floor(product), np.int64)
    doubtful = np.abs(product - np.rint(product)) < 1e-6
    for place in np.argwhere(doubtful):
        at = tuple(place)
        rank[at] = (int(count[at]) + 1) * Fraction(float(target[at])) // 1
    return np.clip(rank, 0, count)


def below_rounding(threshold: ArrayLike) -> FloatArray:
    """Return thresholds lowered by eight units in the last place of single precision.

    The simulated statistics that tie with the threshold do not reject. Computed elsewhere, with another
    rounding, the same statistic could fall below the threshold; as long as it is right to one unit in the last
    place of single precision it does not fall below this one. Infinities stay.
    """
    value = np.asarray(threshold, float)
    single = np.finfo(np.float32)
    with np.errstate(invalid="ignore"):
        lowered = value - 8 * single.eps * np.maximum(np.abs(value), single.tiny)
    return np.where(np.isfinite(value), lowered, value)
