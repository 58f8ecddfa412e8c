"""The lower tail of a point's statistics in a fixed number of columns, for pilots of calibrations."""

from __future__ import annotations

import numpy as np

from adagrid._typing import Array, ArrayLike, FloatArray, IntArray

# Order statistics that are stored of each point, and up to which multiple of the level they reach.
N_ORDER_STATISTICS, _REACH = 64, 2.0

COLUMNS = tuple(f"statistic{i}" for i in range(N_ORDER_STATISTICS))


def order_statistic_ranks(n_sims: ArrayLike, level: float) -> IntArray:
    """Return the ranks of the order statistics that are stored of points, shape (points, N_ORDER_STATISTICS).

    Evenly spread from 1 to somewhat beyond twice the level's share of the simulations.
    """
    count = np.asarray(n_sims, float)[..., None]
    reach = np.minimum(np.ceil(_REACH * level * count + 6 * np.sqrt(level * count) + 8), count)
    ranks = 1 + (reach - 1) * np.arange(N_ORDER_STATISTICS) / (N_ORDER_STATISTICS - 1)
    return np.minimum(np.ceil(ranks), reach).astype(np.int64)


def counts_below(smallest: Array, ranks: IntArray, thresholds: FloatArray) -> FloatArray:
    """Return about how many statistics of points are below thresholds.

    Between two stored order statistics the count is interpolated by their values; beyond the last it is the last
    rank's, so that large counts are understated.

    Args:
        smallest: order statistics in ascending order, shape (points, N_ORDER_STATISTICS).
        ranks: their ranks, same shape.
        thresholds: ascending, shape (thresholds,).

    Returns:
        Shape (points, thresholds).
    """
    counts = np.empty((len(smallest), len(thresholds)))
    for row, (values, rank) in enumerate(zip(smallest.astype(float), ranks, strict=True)):
        above = np.searchsorted(values, thresholds, side="left")  # as many stored ones are below
        below = np.where(above > 0, rank[np.maximum(above - 1, 0)], 0)
        following = rank[np.minimum(above, len(rank) - 1)]
        left, right = values[np.maximum(above - 1, 0)], values[np.minimum(above, len(rank) - 1)]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (thresholds - left) / (right - left)
        share = np.where(np.isfinite(share) & (above > 0), np.clip(share, 0.0, 1.0), 0.0)
        counts[row] = below + np.where(following > below + 1, share * (following - 1 - below), 0.0)
    return counts
