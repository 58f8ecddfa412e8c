"""A zone between two coordinations: one step after the other, independently of other zones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from typing_extensions import override

from adagrid._deadline import seconds_left
from adagrid.methods.tiles.algorithm import TileAlgorithm
from adagrid.methods.tiles.frontier import Frontier
from adagrid.methods.tiles.step import first_step, next_step
from adagrid.methods.tiles.stored_frontier import read_frontier, tile_fraction_below
from adagrid.runtime.job import Job
from adagrid.runtime.progress import StepReport
from adagrid.runtime.status import Status
from adagrid.stores import ZoneView
from adagrid.stores.store import StepKey


@final
@dataclass(frozen=True)
class ZoneEnd:
    """How a zone stopped.

    Args:
        status: NEW_STEP if steps are left to do after the next coordination, ALREADY_EXISTS if all had been finished
            before, or why the zone stopped.
        n_active: how many active tiles it saw last; none if there was nothing to do.
        seconds: how long it took.
        frontier: its active tiles, None if they are not in memory here.
    """

    status: Status
    n_active: int = 0
    seconds: float = 0.0
    frontier: Frontier | None = None

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return ZoneEnd, (self.status, self.n_active, self.seconds)  # a frontier stays where it is


def run_zone(
    job: Job[TileAlgorithm], coordination_id: int, zone_id: int, last_step: int, frontier: Frontier | None = None
) -> ZoneEnd:
    """Run the steps of a zone that belong to a coordination.

    Args:
        job: the job.
        coordination_id: the current coordination.
        zone_id: the zone.
        last_step: one past the last step to run.
        frontier: the zone's active tiles; None reads them when they are needed.
    """
    is_new = job.begun == coordination_id
    finished = None if is_new else job.store.last_step(coordination_id, zone_id)
    step = coordination_id * job.record.coordinate_every if finished is None else finished + 1
    if step >= last_step:
        return ZoneEnd(Status.ALREADY_EXISTS, frontier=frontier)
    began, status = time.monotonic(), Status.NEW_STEP
    while step < last_step and status in (Status.NEW_STEP, Status.NO_NEW_TILES):
        key = StepKey(coordination_id, zone_id, step)
        if seconds_left() <= 0:
            status = Status.TIMED_OUT
        elif step == 0:
            frontier = first_step(job, key, is_new=is_new)
            job.report_step(StepReport(key, Status.NEW_STEP, len(frontier), len(frontier), job.seconds, {}))
        else:
            if frontier is None:
                frontier = read_frontier(job, ZoneView(coordination_id, zone_id, job.record.n_zones, step))
            status = _adapt(job, key, frontier, is_new=is_new)
        step, is_new = step + 1, True
    status = Status.NEW_STEP if status is Status.NO_NEW_TILES else status
    return ZoneEnd(status, 0 if frontier is None else len(frontier), time.monotonic() - began, frontier)


def _adapt(job: Job[TileAlgorithm], key: StepKey, frontier: Frontier, *, is_new: bool) -> Status:
    """Check the targets, and work on the tiles that miss them most."""
    convergence = job.algorithm.convergence(frontier, partial(tile_fraction_below, job, frontier))
    n_tiles = 0
    if convergence.converged:
        status = Status.CONVERGED
    else:
        choice = job.algorithm.choose(frontier)
        status = Status.EMPTY_STEP
        if len(choice.chosen):
            n_tiles = next_step(job, key, frontier, choice, is_new=is_new)
            status = Status.NEW_STEP if n_tiles else Status.NO_NEW_TILES
    job.report_step(StepReport(key, status, n_tiles, len(frontier), job.seconds, convergence.figures))
    return status
