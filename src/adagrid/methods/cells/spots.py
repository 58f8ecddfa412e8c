"""Chooses points between certified vertices, at which simulations could contradict the family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import FloatArray, IntArray
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.methods._events import counted_events
from adagrid.methods.cells.algorithm import positions
from adagrid.refutation.spots import Spots, spots_in_cells
from adagrid.runtime.job import AnyJob


def spots(job: AnyJob, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
    """Return spots in certified cells; None if there are none. See `Method.spots`."""
    certified = job.store.results("certificate", active=True)
    if not len(certified):
        return None
    vertices, cells = job.store.table("vertices"), Cells.from_frame(certified)
    points, family = Points.from_frame(vertices), job.work.simulator.model.family
    vertex = positions(points.id, cells.point_id)
    simplices = Simplices(points.theta[vertex], cells.null_truth, cells.id)
    events = counted_events(vertices, job.record.quantity)[vertex]
    n_sims = np.maximum(points.n_sims, 1)[vertex]  # of computed errors, whose limits are not used
    return spots_in_cells(family, simplices, events, n_sims, number(points.n_sims), shift)
