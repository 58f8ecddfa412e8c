"""Checks that the figures of tiles follow from their counts and order statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, IdArray
from adagrid.methods._audit import ROUNDING, follows_counts, limits_of
from adagrid.records import JobRecord
from adagrid.stores import Store, ZoneView


def inconsistent_rows(store: Store, record: JobRecord) -> IdArray:
    """Return the ids of active tiles whose figures contradict each other."""
    names = ["n_sims", "rejections", "tie_estimate", "tie_point_lower", "tie_point_bound", "tie_lower", "tie_bound"]
    if record.kind == "calibrate":
        names = ["n_sims", "alpha0", "rank", "lambda_star"]
    right = _right_validation if record.kind == "validate" else _right_calibration
    frames = [*store.frontier(ZoneView(0, 0, 1, 2**31), names), store.results("certificate", active=True)]
    return np.concatenate([frame["id"].to_numpy(np.uint64)[~right(frame, record)] for frame in frames])


def _right_validation(frame: pd.DataFrame, record: JobRecord) -> BoolArray:
    limits = limits_of(frame, record.settings.validation.delta, record)
    right = follows_counts(frame, record, limits)
    for column, limit in (("tie_point_lower", limits.lower), ("tie_point_bound", limits.upper)):
        right &= np.isclose(frame[column], limit, rtol=ROUNDING, atol=0)
    right &= (frame["tie_bound"] >= frame["tie_point_bound"]) & (frame["tie_bound"] <= 1)
    right &= (frame["tie_lower"] <= frame["tie_point_lower"]) & (frame["tie_lower"] >= 0)
    return right.to_numpy(bool)


def _right_calibration(frame: pd.DataFrame, record: JobRecord) -> BoolArray:
    right = (frame["alpha0"] >= 0) & (frame["alpha0"] <= record.settings.calibration.alpha)
    right &= frame["rank"] == record.settings.calibration.rank(frame["n_sims"], frame["alpha0"])
    right &= (frame["rank"] > 0) | (frame["lambda_star"] == -np.inf) | record.computed
    return right.to_numpy(bool)
