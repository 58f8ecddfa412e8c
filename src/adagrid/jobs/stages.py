"""The leader's loop of jobs by interpolation: plan a stage, let zones simulate its points, certify its cells.

A stage is a coordination. Its points, its cells and the coordination's row are written before anything is simulated,
so a plan never depends on what it asks for, and a stage that was begun is finished as planned.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pandas as pd

from adagrid._typing import FloatArray
from adagrid.algorithms import Convergence, StagedAlgorithm
from adagrid.algorithms.interpolated.base import Simulated, Stage, StageKind, State
from adagrid.errors import CorruptStoreError, ResumeError
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.jobs.job import Job, logger
from adagrid.jobs.outcome import Status
from adagrid.jobs.packets import write_packets
from adagrid.jobs.progress import StepReport
from adagrid.jobs.tell import tell
from adagrid.jobs.work import AskedFractions, AskedPoints
from adagrid.jobs.zones import run_zones
from adagrid.stores import Place, Store
from adagrid.stores.base import Columns, Table, zone_of

Staged = Job[StagedAlgorithm]


def lead_stages(job: Staged) -> Status:
    """Plan and run stages until the targets are met or nothing more can or may be done."""
    while True:
        state, advanced = _finished_state(job)
        convergence = job.algorithm.convergence(state, partial(_fraction_below, job, state))
        if advanced:
            tell(job, _report(job, state, convergence))
        if convergence.converged:
            return Status.CONVERGED
        if len(state.stages) >= job.algorithm.settings.n_steps:
            return Status.REACHED_N_STEPS
        if time.monotonic() >= job.deadline:
            return Status.TIMED_OUT
        stage = job.algorithm.next_stage(state)
        if stage is None:
            return Status.EMPTY_STEP
        _begin_stage(job, len(state.stages), stage)


def _finished_state(job: Staged) -> tuple[State, bool]:
    """Finish the stage that was begun last and read what all have found; return whether there was anything to do.

    Another process that runs the same job may begin a stage meanwhile: nothing is planned from half of it.
    """
    advanced = False
    while True:
        coordination = job.store.last_coordination()
        advanced |= coordination is not None and finish_stage(job, coordination)
        state = read_state(job.store)
        if job.store.last_coordination() == coordination:
            return state, advanced


def finish_stage(job: Staged, coordination: int) -> bool:
    """Finish the stage that was begun last; return whether there was anything to do."""
    kind: StageKind = job.store.table("coordinations")["kind"].iloc[-1]
    zones = [
        partial(_simulate_zone, kind=kind, coordination=coordination, zone=zone) for zone in range(job.record.n_zones)
    ]
    worked = run_zones(job, zones)
    certified = kind == "pass" and _certify_cells(job, coordination)
    job.store.verify()
    return any(worked) or certified


def read_state(store: Store) -> State:
    """Read all that the stages so far have found."""
    cells = store.results("certificate", active=True)
    return State(
        stages=store.table("coordinations")["kind"].tolist(),
        pilot=_simulated(store.table("pilot"), store.schema.pilot),
        vertices=_simulated(store.table("vertices"), store.schema.vertices),
        cells=Cells.from_frame(cells),
        certificate={name: cells[name].to_numpy(kind) for name, kind in store.schema.results.items()},
    )


def _begin_stage(job: Staged, coordination: int, stage: Stage) -> None:
    """Write the points and cells of a stage, and last the coordination that begins it."""
    place = Place(coordination, 0, coordination)
    zones = zone_of(stage.points.id, coordination, job.record.n_zones)
    points = stage.points.to_frame().assign(**vars(place), position=np.arange(len(stage.points)))
    frames: dict[Table, pd.DataFrame] = {"points": points.assign(zone_id=zones)}
    if stage.cells is not None:
        frames["cells"] = stage.cells.to_frame().assign(**vars(place), position=np.arange(len(stage.cells)))
    missing = {name: job.signed(_missing(job, name, place, frame)) for name, frame in frames.items()}
    row = pd.DataFrame([{"coordination_id": coordination, "kind": stage.kind, "n_zones": job.record.n_zones}])
    report = job.journal.report("coordination", place, stage=stage.kind)
    job.store.append({**missing, "coordinations": job.signed(row), "reports": report})
    logger.info("stage %d (%s): %d points", coordination, stage.kind, len(points))
    job.back_up()


def _missing(job: Staged, name: Table, place: Place, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a plan that are not yet written, as they may be after a kill while it was written.

    Raises:
        CorruptStoreError: if two rows have the same id.
        ResumeError: if rows of another plan were written.
    """
    ids = frame["id"].to_numpy(np.uint64)
    places = [Place(place.coordination_id, zone, place.step_id) for zone in range(job.record.n_zones)]
    known = job.store.known(name, ids)  # first: another process may be writing the same plan
    written = pd.concat([job.store.step_rows(name, each) for each in places])
    if frame["id"].duplicated().any() or (ids == 0).any() or len(known) > written["id"].isin(ids).sum():
        raise CorruptStoreError(
            f"Two rows of {name} have the same 64-bit id. Start the job again with another model_seed."
        )
    if not written["id"].isin(ids).all():
        raise ResumeError(
            f"Stage {place.step_id} was being planned with other targets when the run was stopped. Continue with the "
            "targets that the job had then; change them when the stage has finished."
        )
    return frame[~frame["id"].isin(known)]


def _simulate_zone(job: Staged, kind: StageKind, coordination: int, zone: int) -> bool:
    """Simulate a zone's points of a stage in packets, each written at once; return whether any step was left."""
    if job.store.last_step(coordination, zone) is not None:
        return False
    place, table = Place(coordination, zone, coordination), _table(kind)
    frame = job.store.step_rows("points", place)
    points, position = Points.from_frame(frame), frame["position"].to_numpy(np.int64)
    written = job.store.step_rows(table, place)["id"].to_numpy(np.uint64)
    asked = AskedPoints(points, kind)
    for _ in write_packets(job, place, table, asked, written, position=position, unit=f"{kind} points"):
        pass
    row = pd.DataFrame([vars(place) | {"n_tiles": len(points), "n_done": 0}])
    job.store.append({"steps": job.signed(row)})
    job.journal.flush()
    return True


def _certify_cells(job: Staged, coordination: int) -> bool:
    """Write what a pass certifies of its cells, and that they replace what they are part of."""
    place = Place(coordination, 0, coordination)
    planned = job.store.step_rows("cells", place)
    parents, children = np.unique(planned["parent_id"].to_numpy(np.uint64), return_counts=True)
    if len(job.store.known("certificate", planned["id"].to_numpy(np.uint64))) == len(planned) and len(
        job.store.known("done", parents)
    ) == len(parents):
        return False
    vertices = _simulated(job.store.table("vertices"), job.store.schema.vertices)
    certified = pd.DataFrame(dict(job.algorithm.certify(Cells.from_frame(planned), vertices)))
    certificate = pd.concat([planned, certified], axis=1)
    first = np.isin(parents, job.store.known("tiles", parents))  # tiles are split, cells refined
    done = pd.DataFrame({"id": parents, **vars(place), "active": 0, "deepen": 0})
    done = done.assign(refine=np.where(first, 0, children), split=np.where(first, children, 0))
    frames: dict[Table, pd.DataFrame] = {"certificate": job.signed(certificate), "done": job.signed(done)}
    job.store.append(
        {name: frame[~frame["id"].isin(job.store.known(name, frame["id"].to_numpy(np.uint64)))]
         for name, frame in frames.items()}
    )  # fmt: skip
    return True


def _fraction_below(job: Staged, state: State, vertex: int, values: FloatArray) -> FloatArray:
    """Return the fractions of a vertex's statistics strictly below some of its smallest."""
    point = state.vertices.points.take(np.array([vertex]))
    rank, begin, stream = int(state.vertices["rank"][vertex]), int(point.begin[0]), int(point.stream[0])
    return job.fraction_below(AskedFractions(point, begin, rank, values, stream))


def _report(job: Staged, state: State, convergence: Convergence) -> StepReport:
    """Return what the stage that has just finished is told as."""
    last = len(state.stages) - 1
    steps = job.store.table("steps")
    n_points = int(steps["n_tiles"][steps["coordination_id"] == last].sum())
    return StepReport(
        Place(last, 0, last), Status.NEW_STEP, n_points, len(state.cells), job.seconds, convergence.figures
    )


def _simulated(frame: pd.DataFrame, columns: Columns) -> Simulated:
    """Return simulated points in the order of their plans, whatever zones they were dealt to."""
    frame = frame.sort_values(["step_id", "position"], ignore_index=True)
    return Simulated(Points.from_frame(frame), {name: frame[name].to_numpy(kind) for name, kind in columns.items()})


def _table(kind: StageKind) -> Table:
    return "pilot" if kind == "pilot" else "vertices"
