"""Whether estimates and limits follow from the counts, or the computed errors, beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import ArrayLike
from adagrid.methods._common import expected_count
from adagrid.records import JobRecord
from adagrid.settings.quantities import Limits

ROUNDING = 1e-9
"""Relative difference that another machine's rounding may explain."""


def limits_of(frame: pd.DataFrame, level: ArrayLike, record: JobRecord) -> Limits:
    """Return what limits the probability that is bounded: from counts, or computed errors."""
    assert record.quantity is not None  # noqa: S101 - of a validation
    if not record.computed:
        rejections, n_sims = (frame[name].to_numpy(np.int64) for name in ("rejections", "n_sims"))
        return record.quantity.limits(rejections, n_sims, level)
    estimate = frame["tie_estimate"].to_numpy(float)
    return record.quantity.computed(record.quantity.rejecting(estimate))


def follows_counts(frame: pd.DataFrame, record: JobRecord, limits: Limits) -> pd.Series:
    """Return whether estimates follow from rejections, or rejections are those that a computed error expects."""
    assert record.quantity is not None  # noqa: S101 - of a validation
    if record.computed:
        rejecting = record.quantity.rejecting(frame["tie_estimate"].to_numpy(float))
        expected = expected_count(rejecting, frame["n_sims"].to_numpy(np.int64))
        return (frame["rejections"] - expected).abs() <= 1
    return frame["tie_estimate"] == limits.estimate
