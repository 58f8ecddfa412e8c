"""The leader's loop of jobs by interpolation: plan a round, let zones simulate its points, certify its cells.

A round is a coordination. Its points, its cells and the coordination's row are written before anything is simulated,
so a plan never depends on what it asks for, and a round that was begun is finished as planned.

What the rounds have found is read once. While this process plans and begins every round itself, it carries on in memory
what it has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._deadline import check_time
from adagrid._typing import FloatArray, IdArray
from adagrid.errors import CorruptStoreError, ResumeError
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.methods._common import Convergence
from adagrid.methods.cells.algorithm import CellAlgorithm, Round, RoundKind, Simulated, State
from adagrid.methods.cells.finished_rounds import FinishedRounds
from adagrid.methods.cells.requests import PointsRequest
from adagrid.runtime.job import Job, logger
from adagrid.runtime.packets import write_packets
from adagrid.runtime.progress import StepReport
from adagrid.runtime.requests import FractionsRequest
from adagrid.runtime.status import Status
from adagrid.runtime.zones import run_zones
from adagrid.stores.store import StepKey, zone_of
from adagrid.stores.tables import Table

CellJob = Job[CellAlgorithm]


@final
@dataclass(frozen=True)
class _Begun:
    """A round that has begun.

    Args:
        number: the round, which is also the coordination and the step.
        kind: what it is for.
        plan: its points and cells if this process has written all of them; None if they have to be read.
    """

    number: int
    kind: RoundKind
    plan: Round | None = None

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return _Begun, (self.number, self.kind)  # a worker reads what belongs to its zone

    @property
    def key(self) -> StepKey:
        """Where its cells are, and the points of the first zone."""
        return StepKey(self.number, 0, self.number)

    @property
    def table(self) -> Table:
        """Where its simulated points are."""
        return "pilot" if self.kind == "pilot" else "vertices"


@final
@dataclass(frozen=True)
class _ZoneEnd:
    """How a zone has finished its part of a round.

    Args:
        worked: whether there was anything to do.
        rows: what it has simulated; None if that has to be read.
    """

    worked: bool
    rows: Sequence[pd.DataFrame] | None = None

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return _ZoneEnd, (self.worked,)


def run_cells(job: CellJob, *, is_new: bool) -> Status:
    """Plan and run rounds until the targets are met or nothing more can or may be done.

    Args:
        job: the job.
        is_new: whether this process has started the job, so that no round is stored.

    Raises:
        TimeUpError: if the time is used up; a plan that is not written is then made again.
    """
    found, n_points = (FinishedRounds.nothing(job.store.schema), None) if is_new else _finished(job)
    while True:
        state = found.state
        convergence = job.algorithm.convergence(state, partial(_fraction_below, job, state))
        if n_points is not None:
            job.report_step(_report(job, state, n_points, convergence))
        if convergence.converged:
            return Status.CONVERGED
        if len(state.rounds) >= job.settings.n_steps:
            return Status.REACHED_N_STEPS
        check_time()
        plan = job.algorithm.next_round(state)
        if plan is None:
            return Status.EMPTY_STEP
        found, n_points, is_new = _run_round(job, found, plan, is_new=is_new)


def _run_round(
    job: CellJob, found: FinishedRounds, plan: Round, *, is_new: bool
) -> tuple[FinishedRounds, int | None, bool]:
    """Begin a round and finish it.

    Another process that runs the same job may begin this round or the next one meanwhile. What it has stored is read.

    Returns:
        What all rounds have found, the number of points of the last one, and whether nothing of a next one is stored.
    """
    begun = _begin_round(job, found, plan, is_new=is_new)
    if begun.plan is not None:
        found = _finish_own(job, begun, begun.plan, found)
        if job.store.last_coordination() == begun.number:
            return found, len(plan.points), True
    return *_finished(job), False


def _finished(job: CellJob) -> tuple[FinishedRounds, int | None]:
    """Finish the round that was begun last, and read what all have found; nothing is read of a round half begun.

    Returns:
        What was found, and the number of points of the last round; None if there was nothing left to do.
    """
    advanced = False
    while True:
        coordination = job.store.last_coordination()
        advanced |= coordination is not None and _finish_stored(job, coordination)
        found = FinishedRounds.read(job.store)
        if job.store.last_coordination() == coordination:
            break
    if coordination is None or not advanced:
        return found, None
    steps = job.store.between("steps", {"coordination_id": (coordination, coordination)}, ["n_tiles"])
    return found, int(steps["n_tiles"].sum())


def _begin_round(job: CellJob, found: FinishedRounds, plan: Round, *, is_new: bool) -> _Begun:
    """Write the points and cells of a round, and last the coordination that begins it."""
    number = len(found.kinds)
    key = StepKey(number, 0, number)
    zones = zone_of(plan.points.id, number, job.record.n_zones)
    frames: dict[Table, pd.DataFrame] = {"points": _with_key(plan.points, key).assign(zone_id=zones)}
    known = {"points": found.ids("pilot", "vertices"), "cells": found.ids("certificate")}
    if plan.cells is not None:
        frames["cells"] = _with_key(plan.cells, key)
    missing = dict(frames)
    for name, frame in frames.items():
        _refuse_collisions(name, frame, known[name])
        if not is_new:
            missing[name] = _missing(job, name, key, frame)
    row = pd.DataFrame([{"coordination_id": number, "kind": plan.kind, "n_zones": job.record.n_zones}])
    rows = {**missing, "coordinations": row}
    report = job.journal.report("coordination", key, stage=plan.kind)
    job.append({**{name: job.signed(frame) for name, frame in rows.items()}, "reports": report})
    logger.info("round %d (%s): %d points", number, plan.kind, len(plan.points))
    job.notify()
    own = all(len(missing[name]) == len(frame) for name, frame in frames.items())
    return _Begun(number, plan.kind, plan if own else None)


def _missing(job: CellJob, name: Table, key: StepKey, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a plan that are not yet written, as they may be after a kill while it was written.

    Raises:
        CorruptStoreError: if another row has the same id.
        ResumeError: if rows of another plan were written.
    """
    ids = frame["id"].to_numpy(np.uint64)
    keys = [StepKey(key.coordination_id, zone, key.step_id) for zone in range(job.record.n_zones)]
    known = job.store.known(name, ids)  # first: another process may be writing the same plan
    written = pd.concat([job.store.step_rows(name, each, ["id"]) for each in keys])["id"].to_numpy(np.uint64)
    _refuse_collisions(name, frame, known[~np.isin(known, written)])
    if not np.isin(written, ids).all():
        raise ResumeError(
            f"Round {key.step_id} was being planned with other targets when the run was stopped. Continue with the "
            "targets that the job had then; change them when the round has finished."
        )
    return frame[~frame["id"].isin(known)]


def _refuse_collisions(name: Table, frame: pd.DataFrame, others: IdArray) -> None:
    """Stop if two rows of a plan have the same id, or one has the id of another row; `verify` finds the rest."""
    ids = frame["id"]
    if ids.duplicated().any() or (ids == 0).any() or ids.isin(others).any():
        raise CorruptStoreError(
            f"Two rows of {name} have the same 64-bit id. Start the job again with another model_seed."
        )


def _finish_own(job: CellJob, begun: _Begun, plan: Round, found: FinishedRounds) -> FinishedRounds:
    """Finish a round that this process has begun; return what all rounds have found."""
    ends = _run_zones(job, begun)
    rows = [frame for end in ends for frame in end.rows or ()]
    if any(end.rows is None for end in ends):  # workers have written them
        rows = [job.store.between(begun.table, {"coordination_id": (begun.number, begun.number)})]
    found = found.with_round(begun.kind)
    if rows:
        found = found.with_rows({begun.table: pd.concat(rows)})
    if plan.cells is not None:
        frames = _certified(job, begun, _with_key(plan.cells, begun.key), found.vertices)
        job.append({name: job.signed(frame) for name, frame in frames.items()})
        found = found.with_rows({"certificate": frames["certificate"]})
    job.store.verify()
    return found


def _finish_stored(job: CellJob, coordination: int) -> bool:
    """Finish a round that may be stored in part; return whether there was anything to do."""
    begun = _Begun(coordination, job.store.table("coordinations")["kind"].iloc[-1])
    worked = any(end.worked for end in _run_zones(job, begun))
    certified = begun.kind == "pass" and _certify_missing(job, begun)
    job.store.verify()
    return worked or certified


def _run_zones(job: CellJob, begun: _Begun) -> list[_ZoneEnd]:
    return run_zones(job, [partial(_simulate_zone, begun=begun, zone=zone) for zone in range(job.record.n_zones)])


def _simulate_zone(job: CellJob, begun: _Begun, zone: int) -> _ZoneEnd:
    """Simulate a zone's points of a round in packets, each written at once."""
    key, written = StepKey(begun.number, zone, begun.number), None
    if begun.plan is not None:
        position = np.flatnonzero(zone_of(begun.plan.points.id, begun.number, job.record.n_zones) == zone)
        points = begun.plan.points.take(position)
    else:
        if job.store.last_step(begun.number, zone) is not None:
            return _ZoneEnd(worked=False)
        frame = job.store.step_rows("points", key)
        points, position = Points.from_frame(frame), frame["position"].to_numpy(np.int64)
        written = job.store.step_rows(begun.table, key, ["id"])["id"].to_numpy(np.uint64)
    request = PointsRequest(points, begun.kind)
    packets = write_packets(job, key, begun.table, request, written, position=position, unit=f"{begun.kind} points")
    rows = [packet for packet in packets if begun.plan is not None]
    row = pd.DataFrame([vars(key) | {"n_tiles": len(points), "n_done": 0}])
    job.append({"steps": job.signed(row)})
    job.journal.pause()
    return _ZoneEnd(worked=True, rows=rows)


def _certify_missing(job: CellJob, begun: _Begun) -> bool:
    """Certify the cells of a round that are not certified yet; return whether there were any."""
    planned = job.store.step_rows("cells", begun.key)
    ids, parents = planned["id"].to_numpy(np.uint64), np.unique(planned["parent_id"].to_numpy(np.uint64))
    if len(job.store.known("certificate", ids)) == len(ids) and len(job.store.known("done", parents)) == len(parents):
        return False
    frames = _certified(job, begun, planned, FinishedRounds.read(job.store).vertices)
    missing = {
        name: frame[~frame["id"].isin(job.store.known(name, frame["id"].to_numpy(np.uint64)))]
        for name, frame in frames.items()
    }
    job.append({name: job.signed(frame) for name, frame in missing.items()})
    return True


def _certified(job: CellJob, begun: _Begun, planned: pd.DataFrame, vertices: Simulated) -> dict[Table, pd.DataFrame]:
    """Return the rows that certify cells, and those that say what the cells replace."""
    parents, children = np.unique(planned["parent_id"].to_numpy(np.uint64), return_counts=True)
    certified = pd.DataFrame(dict(job.algorithm.certify(Cells.from_frame(planned), vertices)))
    assert job.work.tiles is not None  # noqa: S101 - algorithms of rounds know the grid
    first = np.isin(parents, job.work.tiles.id)  # tiles are split, cells refined
    done = pd.DataFrame({"id": parents, **vars(begun.key), "active": 0, "deepen": 0})
    done = done.assign(refine=np.where(first, 0, children), split=np.where(first, children, 0))
    return {"certificate": pd.concat([planned, certified], axis=1), "done": done}


def _with_key(rows: Points | Cells, key: StepKey) -> pd.DataFrame:
    """Return what a round plans as rows, in the order of the plan."""
    return rows.to_frame().assign(**vars(key), position=np.arange(len(rows)))


def _fraction_below(job: CellJob, state: State, vertex: int, values: FloatArray) -> FloatArray:
    """Return the fractions of a vertex's statistics strictly below some of its smallest."""
    point = state.vertices.points.take(np.array([vertex]))
    rank, begin, stream = int(state.vertices["rank"][vertex]), int(point.begin[0]), int(point.stream[0])
    return job.fraction_below(FractionsRequest(point, begin, rank, values, stream))


def _report(job: CellJob, state: State, n_points: int, convergence: Convergence) -> StepReport:
    """Return the report on the round that has just finished."""
    last = len(state.rounds) - 1
    key = StepKey(last, 0, last)
    return StepReport(key, Status.NEW_STEP, n_points, len(state.cells), job.seconds, convergence.figures)
