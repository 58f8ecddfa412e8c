"""The order statistic that meets a level with confidence, not only on average."""

from __future__ import annotations

import numpy as np
import scipy

from adagrid._typing import ArrayLike, BoolArray, FloatArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.estimation.order_statistic import calibration_rank

# Share of delta reserved for the rounding of a tail: a thousand times the largest error seen.
_ROUNDING = 1e-8


def confident_rank(n_sims: ArrayLike, level: ArrayLike, delta: ArrayLike) -> IntArray:
    """Return the largest rank that meets a level with confidence.

    Let a statistic be at or below x with probability at least `level`. Then fewer than r of N simulated statistics
    are at or below x with probability at most P(Beta(r, N + 1 - r) > level). So the r-th smallest statistic exceeds x
    with at most this probability. The function returns the largest r for which this probability is at most delta
    (Thompson 1936, Annals of Mathematical Statistics 7:122; with ties Scheffé and Tukey 1945, same journal 16:187).
    The rank never exceeds `calibration_rank`, so the expected error is at most the level as well. This limit matters
    only if delta is above 0.36.

    A bisection on the beta distribution finds the rank, because inverses of the beta distribution can fail.

    Args:
        n_sims: N, whole numbers.
        level: in [0, 1], broadcast against n_sims.
        delta: one minus the confidence, in (0, 1), broadcast likewise.

    Returns:
        Ranks from 0 to N; rank 0 stands for the threshold -inf. Rounding can only make a rank too small.

    Raises:
        InvalidInputError: if delta is out of range.
    """
    count, target, spent = np.broadcast_arrays(
        np.asarray(n_sims, np.int64), np.asarray(level, float), np.asarray(delta, float)
    )
    if not ((spent > 0) & (spent < 1)).all():
        raise InvalidInputError(f"0 < delta < 1 must hold; got delta={delta}.")
    rank, most = np.zeros(count.shape, np.int64), np.array(calibration_rank(count, target))
    while (unsettled := rank < most).any():
        low, high = rank[unsettled], most[unsettled]
        middle = (low + high + 1) // 2
        kept = _keeps(middle, count[unsettled], target[unsettled], spent[unsettled])
        rank[unsettled], most[unsettled] = np.where(kept, middle, low), np.where(kept, high, middle - 1)
    return rank


def _keeps(rank: IntArray, count: IntArray, level: FloatArray, delta: FloatArray) -> BoolArray:
    """Return whether ranks above zero meet a level with confidence 1 - delta."""
    exceeding = scipy.special.betaincc(rank, count + 1 - rank, level)
    return np.asarray(exceeding <= delta * (1 - _ROUNDING))
