"""The order statistic that calibrates a threshold at one point."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from adagrid._typing import ArrayLike, FloatArray, IntArray


def calibration_rank(n_sims: ArrayLike, level: ArrayLike) -> IntArray:
    """Return the rank of the threshold, r = floor((N + 1) * level).

    The threshold is the r-th smallest of N simulated statistics. A new independent statistic falls below it with an
    expected probability of at most r / (N + 1) <= level. Rank 0 stands for the threshold -inf, which never rejects.

    Args:
        n_sims: N, whole numbers.
        level: in [0, 1], broadcast against n_sims.

    Returns:
        Exact ranks from 0 to N: a product just below a whole number counts as below it.
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
    """Lower thresholds by eight units in the last place.

    The units are those of single precision. A simulated statistic that ties with the threshold does not reject. Other
    software may round the same statistic to a value below the threshold. If this value is right to one unit in the
    last place, it does not fall below the lowered threshold. Infinities stay unchanged.
    """
    value = np.asarray(threshold, float)
    single = np.finfo(np.float32)
    with np.errstate(invalid="ignore"):
        lowered = value - 8 * single.eps * np.maximum(np.abs(value), single.tiny)
    return np.where(np.isfinite(value), lowered, value)
