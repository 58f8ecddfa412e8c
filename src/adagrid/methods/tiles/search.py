"""The leader's loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pandas as pd

from adagrid.methods.tiles.algorithm import TileAlgorithm
from adagrid.methods.tiles.frontier import Frontier
from adagrid.methods.tiles.stored_frontier import read_frontier, tile_fraction_below
from adagrid.methods.tiles.zone import ZoneEnd, run_zone
from adagrid.runtime.job import Job, logger
from adagrid.runtime.status import Status
from adagrid.runtime.zones import run_zones
from adagrid.stores import ZoneView
from adagrid.stores.layout import Checked
from adagrid.stores.store import StepKey


def search(job: Job[TileAlgorithm]) -> Status:
    """Coordinate and let every zone run, until the targets are met or nothing more can or may be done."""
    every, n_steps = job.record.coordinate_every, job.settings.n_steps
    coordination = job.store.last_coordination()
    if coordination is None:
        job, coordination = coordinate(job, 0), 0
    elif job.store.table("coordinations")["kind"].iloc[-1] == "certify":  # what comes next may not look at it
        return _status(job, coordination, [], out_of_steps=True)
    frontier: Frontier | None = None  # of all tiles, which one zone keeps
    checked = Checked()
    while True:
        last_step = min((coordination + 1) * every, n_steps)
        zones = run_zones(
            job,
            [
                partial(run_zone, coordination_id=coordination, zone_id=zone, last_step=last_step, frontier=frontier)
                for zone in range(job.record.n_zones)
            ],
        )
        _report_balance(job, coordination, zones)
        is_whole, checked = checked == Checked(), job.store.verify(checked)
        frontier = _joined(zones)
        status = _status(job, coordination, [zone.status for zone in zones], last_step >= n_steps, frontier)
        if status is not Status.NEW_STEP:
            if not is_whole:
                job.store.verify()
            return status
        frontier = frontier if job.record.n_zones == 1 else None
        coordination += 1
        job = coordinate(job, coordination)


def finish_begun_steps(job: Job[TileAlgorithm]) -> None:
    """Finish the steps that an earlier run had begun, with the settings they were begun with."""
    coordination = job.store.last_coordination()
    if coordination is None:
        return
    begun = []
    for zone in range(job.record.n_zones):
        last = job.store.last_step(coordination, zone)
        step = coordination * job.record.coordinate_every if last is None else last + 1
        key = StepKey(coordination, zone, step)
        if len(job.store.step_rows("tiles", key)) or len(job.store.step_rows("done", key)):
            begun.append(partial(run_zone, coordination_id=coordination, zone_id=zone, last_step=step + 1))
    run_zones(job, begun)


def coordinate(job: Job[TileAlgorithm], coordination: int, kind: str = "search") -> Job[TileAlgorithm]:
    """Deal all eligible tiles to zones anew: one row, because the zone of a tile is a function of its id.

    Returns:
        The job, which knows that nothing of the coordination was stored before.
    """
    row = pd.DataFrame([{"coordination_id": coordination, "n_zones": job.record.n_zones, "kind": kind}])
    key = StepKey(coordination, 0, coordination * job.record.coordinate_every)
    job.append({"coordinations": job.signed(row), "reports": job.journal.report("coordination", key)})
    logger.info("coordination %d", coordination)
    job.notify()
    return replace(job, begun=coordination)


def _status(
    job: Job[TileAlgorithm],
    coordination: int,
    zones: list[Status],
    out_of_steps: bool,
    frontier: Frontier | None = None,
) -> Status:
    """Decide whether the run goes on after all zones of a coordination have stopped.

    Zones that have converged while the whole has not go on: the next coordination deals their tiles anew.
    """
    if Status.TIMED_OUT in zones:
        return Status.TIMED_OUT
    if frontier is None:  # without what another process that runs the same job has written since
        before_step = (coordination + 1) * job.record.coordinate_every
        frontier = read_frontier(job, ZoneView(coordination_id=0, zone_id=0, n_zones=1, before_step=before_step))
    if job.algorithm.convergence(frontier, partial(tile_fraction_below, job, frontier)).converged:
        return Status.CONVERGED
    if set(zones) == {Status.EMPTY_STEP}:
        return Status.EMPTY_STEP
    return Status.REACHED_N_STEPS if out_of_steps else Status.NEW_STEP


def _report_balance(job: Job[TileAlgorithm], coordination: int, zones: Sequence[ZoneEnd]) -> None:
    """Report how much work every zone had, and how long it took: the last one keeps the others waiting."""
    if len(zones) == 1:
        return
    content = [{"status": zone.status.name, "n_active": zone.n_active, "seconds": zone.seconds} for zone in zones]
    key = StepKey(coordination, 0, coordination * job.record.coordinate_every)
    job.journal.hold(job.journal.report("zones", key, zones=content))
    least, *_, most = sorted(zone.n_active for zone in zones)
    seconds = [zone.seconds for zone in zones]
    logger.info(
        "zones of coordination %d: %d to %d tiles, %.2f to %.2f s",
        coordination,
        least,
        most,
        min(seconds),
        max(seconds),
    )


def _joined(zones: list[ZoneEnd]) -> Frontier | None:
    """Return all active tiles, if those of all zones are in memory here."""
    frontiers = [zone.frontier for zone in zones if zone.frontier is not None]
    return Frontier.joined(frontiers) if len(frontiers) == len(zones) else None
