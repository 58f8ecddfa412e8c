"""Resumes the job in a database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from adagrid.backends import LocalBackend
from adagrid.copies.backup import Destination
from adagrid.engine import Simulator
from adagrid.errors import InvalidInputError, ResumeError
from adagrid.grid import Grid, NullHypothesis
from adagrid.grid.definition import definition, sources
from adagrid.launch.drive import as_begun, drive, make_job
from adagrid.launch.identity import model_record
from adagrid.launch.obstacles import design_obstacles, kind_obstacles, obstacles, source_obstacle
from adagrid.launch.request import Request
from adagrid.records import FIXED, JobRecord, ModelRecord, read_records
from adagrid.results.run import Run
from adagrid.runtime.stored_grid import read_grid_tiles, read_hypotheses
from adagrid.runtime.work import Work, algorithm_of
from adagrid.runtime.workers import WorkerPool
from adagrid.stores import Store


def resume_job(request: Request, store: Store, destinations: Sequence[Destination] = ()) -> Run:
    """Resume the job in a database and run it to its end.

    Args:
        request: what is asked for. With a grid its values are those of a whole job and must be this one's; without,
            values that equal their defaults may be the job's whatever they are.
        store: an open store with a job.
        destinations: further places that receive copies of the job.

    Raises:
        ResumeError: if the job cannot be continued as asked.
    """
    history, accept = read_records(store), request.options.accept_changed_model
    record = history[-1]
    problems = kind_obstacles(record, request.kind, request.method_name)
    if not problems:
        problems += obstacles(store, history, request)
        given = model_record(request.model, None)
        if any(getattr(given, name) != getattr(record.model, name) for name in FIXED):  # it may not fit what follows
            problems += design_obstacles(record, given, accept)
    _refuse(store, problems)
    for destination in destinations:
        destination.check(store)
    backend = request.backend or LocalBackend(record.n_zones, record.coordinate_every)
    settings = record.settings.changed(request.overrides)
    simulator = Simulator(
        request.model, settings.model_seed, store.schema.n_nulls, shape=record.shape, value_range=settings.value_range
    )
    given = given.model_copy(update={"program": simulator.fingerprint})
    _refuse(store, design_obstacles(record, given, accept))
    hypotheses = _job_hypotheses(store, record, request.grid, accept)
    null_hypos = [definition(hypothesis) for hypothesis in hypotheses]
    design = _design_number(history, given, null_hypos)
    now = {"settings": settings, "model": given, "design": design, "null_hypos": null_hypos}
    changed = record.model_copy(update=now)
    known = read_grid_tiles(store) if record.method.knows_grid else None
    algorithm = algorithm_of(changed, request.model, known, hypotheses)
    pool = WorkerPool.gather(store, len(history) + (design != record.design))
    work = Work[Any](changed, algorithm, simulator, known, hypotheses, pool)
    job = make_job(store, work, backend, request, destinations)
    return drive(job, partial(read_grid_tiles, store), as_begun(job, record))


def _design_number(history: Sequence[JobRecord], given: ModelRecord, null_hypos: Sequence[str]) -> int:
    """Return the number of the version of the design, a new one if the job has not had it."""
    had = {record.design: record for record in history}
    same = [
        number
        for number, past in had.items()
        if not past.model.differing(given, computed=past.computed)
        and all(sources(*each) is None for each in zip(past.null_hypos, null_hypos, strict=True))
    ]
    return same[-1] if same else len(had)


def _refuse(store: Store, problems: Sequence[str]) -> None:
    if problems:
        raise ResumeError("\n".join([f"The job in {store.location} cannot be continued like this.", *problems]))


def _job_hypotheses(
    store: Store, record: JobRecord, grid: Grid | None, accept_changed: bool
) -> tuple[NullHypothesis, ...]:
    """Return a job's null hypotheses: those of the grid given, or else what the job wrote down."""
    start = f"The job in {store.location} cannot be continued like this."
    try:
        hypotheses = read_hypotheses(store.table("null_hypos")) if grid is None else grid.hypotheses
    except InvalidInputError as error:
        raise ResumeError(f"{start}\n{error}") from error
    for hypothesis, text in zip(hypotheses, record.null_hypos, strict=True):
        changed = sources(text, definition(hypothesis))
        if changed is not None and not accept_changed:
            name = f"null hypothesis {hypothesis.describe()!r}"
            raise ResumeError(f"{start}\n{source_obstacle(name, *changed)}")
    return hypotheses
