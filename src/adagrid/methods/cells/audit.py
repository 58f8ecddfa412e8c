"""Checks that the figures of cells and their vertices follow from the counts and order statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import IdArray
from adagrid.bounds import interpolated_lower_bound, interpolated_reach
from adagrid.families import recorded_family
from adagrid.grid.cells import Cells
from adagrid.grid.columns import matrix
from adagrid.grid.points import Points
from adagrid.methods._audit import ROUNDING, follows_counts, limits_of
from adagrid.methods._common import VALIDATION_STREAM
from adagrid.methods.cells.algorithm import SLICES, positions
from adagrid.records import JobRecord
from adagrid.stores import Store

# How early the search for a bound may stop, relative to the bound.
_SEARCH = 1e-4


def inconsistent_rows(store: Store, record: JobRecord) -> IdArray:
    """Return the ids of cells in force, and of vertices, whose figures contradict each other."""
    return _wrong_vertices(store, record) if len(store.table("vertices")) else np.empty(0, np.uint64)


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
    number = np.where(fresh, stream.reshape(ids.shape), 0).max(axis=1, initial=0) - VALIDATION_STREAM
    allowed = record.settings.validation.delta * np.asarray(SLICES)[np.clip(number - 1, 0, len(SLICES) - 1)]
    wrong = (spent > allowed * (1 + ROUNDING)) | (number > len(SLICES))
    place = pd.Series(np.arange(len(cells)), index=cells["id"])
    parent = place.reindex(cells["parent_id"]).fillna(-1).to_numpy(np.int64)
    inherited = (ids[:, :, None] == ids[parent][:, None, :]).any(axis=2) & (parent >= 0)[:, None]
    return np.unique(np.concatenate([ids[wrong][fresh[wrong]], ids[~fresh & ~inherited]]))


def _wrong_vertices(store: Store, record: JobRecord) -> IdArray:
    """Recompute limits, ranks and bounds; bounds only of families that can be built from what was recorded."""
    frame, family = store.table("vertices"), recorded_family(record.model.family_fields)
    points = Points.from_frame(frame)
    if record.kind == "validate":
        limits = limits_of(frame, points.level, record)
        right = follows_counts(frame, record, limits).to_numpy(bool)
        right = right & ~np.isin(points.id, _overspent(store, record))
        # limits at the vertex also cover that the design's precision simulates a point beside it
        right = right & (frame["tie_point_bound"] >= limits.upper * (1 - ROUNDING)).to_numpy(bool)
        right = right & (frame["tie_point_lower"] <= limits.lower * (1 + ROUNDING)).to_numpy(bool)
        column = "tie_point_bound"
    else:
        right = (frame["rank"] <= record.settings.calibration.rank(points.n_sims, points.level)).to_numpy(bool)
        right = right & ((frame["rank"] > 0) | (frame["lambda_star"] == -np.inf) | record.computed).to_numpy(bool)
        column = "level"
    certificate = store.results("certificate", active=True)
    cells = Cells.from_frame(certificate)
    vertex = positions(points.id, cells.point_id)
    values, bound = frame[column].to_numpy(float)[vertex], certificate["tie_bound"].to_numpy(float)
    sound = bound >= values.max(axis=1, initial=0.0)
    if record.kind == "calibrate":
        star = frame["lambda_star"].to_numpy(float)[vertex].min(axis=1, initial=np.inf)
        sound = (
            sound & (bound <= record.settings.calibration.alpha) & (certificate["lambda_star"].to_numpy(float) == star)
        )
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
