"""Checks that the figures of a certificate follow from the counts and order statistics beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import ArrayLike, BoolArray, FloatArray, IdArray
from adagrid.algorithms import InterpolatedValidation
from adagrid.algorithms.base import expected_count
from adagrid.algorithms.interpolated.base import positions
from adagrid.algorithms.interpolated.validate import SLICES
from adagrid.algorithms.quantities import Limits, Quantity
from adagrid.bounds import interpolated_lower_bound, interpolated_reach
from adagrid.families import recorded_family
from adagrid.grid.cells import Cells
from adagrid.grid.columns import matrix
from adagrid.grid.points import Points
from adagrid.jobs.record import JobRecord
from adagrid.stores import Store, ZoneView

# Relative difference that another machine's rounding may explain; of bounds, how early their search may stop.
_ROUNDING, _SEARCH = 1e-9, 1e-4


def wrong_figures(store: Store, record: JobRecord) -> IdArray:
    """Return the ids of active tiles, of cells in force and of their vertices whose figures contradict each other."""
    if record.method == "interpolated":
        return _wrong_vertices(store, record) if len(store.table("vertices")) else np.empty(0, np.uint64)
    names = ["n_sims", "rejections", "tie_estimate", "tie_point_lower", "tie_point_bound", "tie_lower", "tie_bound"]
    if record.kind == "calibrate":
        names = ["n_sims", "alpha0", "rank", "lambda_star"]
    right = _right_validation if record.kind == "validate" else _right_calibration
    frames = [*store.frontier(ZoneView(0, 0, 1, 2**31), names), store.results("certificate", active=True)]
    return np.concatenate([frame["id"].to_numpy(np.uint64)[~right(frame, record)] for frame in frames])


def shown(quantity: Quantity, frame: pd.DataFrame) -> dict[str, FloatArray]:
    """Return columns that show a quantity, from those of the probability that is bounded."""
    lower, upper = quantity.interval(*(frame[name].to_numpy(float) for name in ("tie_lower", "tie_bound")))
    estimate = quantity.value(frame["tie_estimate"].to_numpy(float))
    return {f"{quantity.prefix}_{name}": each for name, each in
            (("estimate", estimate), ("lower", lower), ("upper", upper))}  # fmt: skip


def _right_validation(frame: pd.DataFrame, record: JobRecord) -> BoolArray:
    limits = _limits(frame, record.settings["delta"], record)
    right = _counted(frame, record, limits)
    for column, limit in (("tie_point_lower", limits.lower), ("tie_point_bound", limits.upper)):
        right &= np.isclose(frame[column], limit, rtol=_ROUNDING, atol=0)
    right &= (frame["tie_bound"] >= frame["tie_point_bound"]) & (frame["tie_bound"] <= 1)
    right &= (frame["tie_lower"] <= frame["tie_point_lower"]) & (frame["tie_lower"] >= 0)
    return right.to_numpy(bool)


def _right_calibration(frame: pd.DataFrame, record: JobRecord) -> BoolArray:
    right = (frame["alpha0"] >= 0) & (frame["alpha0"] <= record.settings["alpha"])
    right &= frame["rank"] == record.calibration.rank(frame["n_sims"], frame["alpha0"])
    right &= (frame["rank"] > 0) | (frame["lambda_star"] == -np.inf) | record.computed
    return right.to_numpy(bool)


def _limits(frame: pd.DataFrame, level: ArrayLike, record: JobRecord) -> Limits:
    """Return what limits the probability that is bounded: from counts, or computed errors."""
    assert record.quantity is not None  # noqa: S101 - of a validation
    if not record.computed:
        rejections, n_sims = (frame[name].to_numpy(np.int64) for name in ("rejections", "n_sims"))
        return record.quantity.limits(rejections, n_sims, level)
    estimate = frame["tie_estimate"].to_numpy(float)
    return record.quantity.computed(record.quantity.rejecting(estimate))


def _counted(frame: pd.DataFrame, record: JobRecord, limits: Limits) -> pd.Series:
    """Return whether estimates follow from rejections, or rejections are those that a computed error expects."""
    assert record.quantity is not None  # noqa: S101 - of a validation
    if record.computed:
        rejecting = record.quantity.rejecting(frame["tie_estimate"].to_numpy(float))
        expected = expected_count(rejecting, frame["n_sims"].to_numpy(np.int64))
        return (frame["rejections"] - expected).abs() <= 1
    return frame["tie_estimate"] == limits.estimate


def _overspent(store: Store, record: JobRecord) -> IdArray:
    """Return points of cells whose fresh vertices take more than their pass's slice of delta.

    And vertices that a cell has neither of its own pass nor from the cell that it is part of: their limits would
    not be part of the union bound.
    """
    cells, points = store.table("cells"), store.table("points").set_index("id")
    ids = matrix(cells, "point").astype(np.uint64)
    begun, level, stream = (points.loc[ids.ravel(), name].to_numpy() for name in ("coordination_id", "level", "stream"))
    fresh = begun.reshape(ids.shape) == cells["coordination_id"].to_numpy()[:, None]
    spent = np.where(fresh, level.reshape(ids.shape), 0.0).sum(axis=1)
    number = np.where(fresh, stream.reshape(ids.shape), 0).max(axis=1, initial=0) - InterpolatedValidation.first_stream
    allowed = record.settings["delta"] * np.asarray(SLICES)[np.clip(number - 1, 0, len(SLICES) - 1)]
    wrong = (spent > allowed * (1 + _ROUNDING)) | (number > len(SLICES))
    place = pd.Series(np.arange(len(cells)), index=cells["id"])
    parent = place.reindex(cells["parent_id"]).fillna(-1).to_numpy(np.int64)
    inherited = (ids[:, :, None] == ids[parent][:, None, :]).any(axis=2) & (parent >= 0)[:, None]
    return np.unique(np.concatenate([ids[wrong][fresh[wrong]], ids[~fresh & ~inherited]]))


def _wrong_vertices(store: Store, record: JobRecord) -> IdArray:
    """Recompute limits, ranks and bounds; bounds only of families that can be built from what was recorded."""
    frame, family = store.table("vertices"), recorded_family(record.model.family_fields)
    points = Points.from_frame(frame)
    if record.kind == "validate":
        limits = _limits(frame, points.level, record)
        right = _counted(frame, record, limits).to_numpy(bool)
        right = right & ~np.isin(points.id, _overspent(store, record))
        # limits at the vertex also cover that the design's precision simulates a point beside it
        right = right & (frame["tie_point_bound"] >= limits.upper * (1 - _ROUNDING)).to_numpy(bool)
        right = right & (frame["tie_point_lower"] <= limits.lower * (1 + _ROUNDING)).to_numpy(bool)
        column = "tie_point_bound"
    else:
        right = (frame["rank"] <= record.calibration.rank(points.n_sims, points.level)).to_numpy(bool)
        right = right & ((frame["rank"] > 0) | (frame["lambda_star"] == -np.inf) | record.computed).to_numpy(bool)
        column = "level"
    certificate = store.results("certificate", active=True)
    cells = Cells.from_frame(certificate)
    vertex = positions(points.id, cells.point_id)
    values, bound = frame[column].to_numpy(float)[vertex], certificate["tie_bound"].to_numpy(float)
    sound = bound >= values.max(axis=1, initial=0.0)
    if record.kind == "calibrate":
        star = frame["lambda_star"].to_numpy(float)[vertex].min(axis=1, initial=np.inf)
        sound = sound & (bound <= record.settings["alpha"]) & (certificate["lambda_star"].to_numpy(float) == star)
    if family is not None:
        reach = interpolated_reach(family, points.theta[vertex], values)
        sound = sound & (bound >= reach * (1 - _SEARCH))
    if record.kind == "validate":
        values, below = frame["tie_point_lower"].to_numpy(float)[vertex], certificate["tie_lower"].to_numpy(float)
        sound = sound & (below >= 0) & (below <= values.max(axis=1, initial=0.0))
        if family is not None:
            again = interpolated_lower_bound(family, points.theta[vertex], values, above=interpolated_reach)
            sound = sound & (below <= again * (1 + _SEARCH))
    return np.concatenate([points.id[~right], cells.id[~sound]])
