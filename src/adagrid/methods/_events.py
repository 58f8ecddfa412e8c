"""Counts of the event whose probability is bounded."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import IntArray
from adagrid.settings.quantities import Quantity


def counted_events(rows: pd.DataFrame, quantity: Quantity | None) -> IntArray:
    """Return how many events were counted, at most, at tiles or vertices.

    Args:
        rows: tiles or vertices with what their simulation gave.
        quantity: what a validation bounds; None for calibrations.
    """
    n_sims = rows["n_sims"].to_numpy(np.int64)
    if quantity is None:  # fewer statistics than the rank are below the threshold
        return np.clip(rows["rank"].to_numpy(np.int64) - 1, 0, np.maximum(n_sims, 1))
    return quantity.events(rows["rejections"].to_numpy(np.int64), n_sims).clip(0, np.maximum(n_sims, 1))
