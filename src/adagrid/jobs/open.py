"""Starts a job, or continues one that exists. Everything is checked before anything is written."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from adagrid.algorithms import Settings
from adagrid.backends import Backend, LocalBackend
from adagrid.engine import Simulator
from adagrid.errors import DomainError, InvalidInputError, ResumeError
from adagrid.grid import Grid, HalfSpace, Tiles
from adagrid.jobs.environment import environment
from adagrid.jobs.job import LEADER, Job, logger
from adagrid.jobs.journal import Journal
from adagrid.jobs.lead import finish_leftovers, lead
from adagrid.jobs.progress import Callback, ProgressDisplay
from adagrid.jobs.record import _SETTINGS, JobRecord, Kind, ModelRecord, grid_fingerprint
from adagrid.jobs.run import Run, read_hypotheses, read_records
from adagrid.models import Model
from adagrid.stores import Schema, Store
from adagrid.stores.base import zone_of


def start_job(
    kind: Kind,
    model: Model,
    grid: Grid,
    store: Store,
    settings: Mapping[str, Any],
    *,
    job_id: str | None = None,
    backend: Backend | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Run:
    """Start a job in an empty database and run it to its end.

    Args:
        kind: "validate" or "calibrate".
        model: the design.
        grid: the region, covered by tiles.
        store: an open store without a job.
        settings: values for the settings of the kind of job.
        job_id: name of the job; made up if None.
        backend: where work runs; in this process if None.
        callback: called after every step.
        progress: whether to show progress; None shows it where the standard error is a terminal.

    Raises:
        InvalidInputError: with everything that is wrong with the settings, the grid and the design.
        ModelError: if the design fails; the job can then be continued.
    """
    backend = backend or LocalBackend()
    checked = _checked(kind, settings, grid, model)
    simulator = Simulator(model, checked.model_seed, grid.tiles.n_nulls, at_most=checked.init_sims)
    record = JobRecord(
        job_id=job_id or uuid.uuid4().hex[:12],
        kind=kind,
        settings=checked.model_dump(),
        model=ModelRecord.of(model),
        grid_fingerprint=grid_fingerprint(grid),
        n_zones=backend.n_zones,
        coordinate_every=backend.coordinate_every,
        chunk=simulator.shape.chunk,
        block=simulator.shape.block,
    )
    schema = Schema(grid.dim, grid.tiles.n_nulls, record.algorithm().result_columns(simulator.dtype))
    if store.exists:
        _check_unfinished_start(store, schema, grid)
    else:
        store.create(schema)
    job = _job(store, record, simulator, grid.hypotheses, backend, callback, progress)
    _write_job(job, grid)
    return _run(job)


def continue_job(
    kind: Kind,
    model: Model,
    store: Store,
    *,
    grid: Grid | None = None,
    requested: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    accept_changed_model: bool = False,
    backend: Backend | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Run:
    """Continue the job in a database and run it to its end.

    Args:
        kind: "validate" or "calibrate".
        model: the design, the same as when the job was started.
        store: an open store with a job.
        grid: if given, must be the job's.
        requested: settings that the caller asked for; they must be the job's.
        overrides: settings to change from here on, if no existing result depends on them.
        accept_changed_model: go on although the design is not the one that was recorded.
        backend: where work runs; must have the job's zones and coordination interval.
        callback: called after every step.
        progress: whether to show progress.

    Raises:
        ResumeError: if the job cannot be continued as asked.
    """
    record = read_records(store)[-1]
    problems = _kind_problems(record, kind)
    if not problems:
        problems += _grid_problems(record, grid)
        problems += _request_problems(record, requested or {}, read_records(store))
        problems += _override_problems(record, overrides or {})
        problems += _backend_problems(record, backend)
        if not accept_changed_model:
            problems += _model_problems(record, model)
    if problems:
        raise ResumeError("\n".join([f"The job in {store.location} cannot be continued like this.", *problems]))
    backend = backend or LocalBackend(record.n_zones, record.coordinate_every)
    changed = record.model_copy(
        update={
            "settings": _SETTINGS[kind].checked({**record.settings, **(overrides or {})}).model_dump(),
            "model": ModelRecord.of(model),
        }
    )
    simulator = Simulator(model, changed.settings["model_seed"], store.schema.n_nulls, shape=record.shape)
    hypotheses = read_hypotheses(store)
    finish_leftovers(replace(_job(store, record, simulator, hypotheses, backend, callback, progress), deadline=np.inf))
    job = _job(store, changed, simulator, hypotheses, backend, callback, progress)
    store.append({"config": _config_row(job, start=len(store.table("config")))})
    return _run(job)


def _run(job: Job) -> Run:
    """Let the leader work, with messages going to the database, and return what can be read afterwards."""
    logger.addHandler(job.journal)
    level = logger.level
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        with job.display:
            status = lead(job)
        job.store.append({"reports": job.journal.report("finish", status=status.name)})
        logger.info("finished: %s", status.name)
    except BaseException as error:
        logger.error("stopped by %s: %s", type(error).__name__, error)
        raise
    finally:
        logger.removeHandler(job.journal)
        logger.setLevel(level)
        job.journal.flush()
    return Run(job.store, status)


def _job(
    store: Store,
    record: JobRecord,
    simulator: Simulator,
    hypotheses: tuple[HalfSpace, ...],
    backend: Backend,
    callback: Callback | None,
    progress: bool | None,
) -> Job:
    timeout = record.checked_settings().timeout
    return Job(
        store=store,
        record=record,
        algorithm=record.algorithm(),
        simulator=simulator,
        hypotheses=hypotheses,
        backend=backend,
        journal=Journal(store, LEADER),
        display=ProgressDisplay(progress, record.model.direction),
        callback=callback,
        deadline=np.inf if timeout is None else time.monotonic() + timeout,
    )


def _write_job(job: Job, grid: Grid) -> None:
    """Write the initial tiles, the hypotheses, and last the row that makes the job exist."""
    settings = job.algorithm.settings
    frames = []
    for tiles in (grid.tiles.with_n_sims(settings.init_sims), grid.retired):
        zone = zone_of(tiles.id, 0, job.record.n_zones)
        frames.append(tiles.to_frame().assign(coordination_id=0, zone_id=zone, step_id=0))
    rows = pd.concat(frames, ignore_index=True)
    rows["position"] = rows.groupby("zone_id").cumcount()
    if rows["id"].duplicated().any() or (rows["id"] == 0).any():
        raise InvalidInputError("Two tiles of the grid have the same 64-bit id. Use another n or another region.")
    retired = frames[1].assign(active=0, refine=0, deepen=0, split=grid.n_children)
    store = job.store
    store.append_missing({"tiles": job.signed(rows)}, key="tiles")
    store.append_missing({"done": job.signed(retired)}, key="done")
    hypotheses = pd.DataFrame(
        {
            "position": range(len(grid.hypotheses)),
            "description": [h.describe() for h in grid.hypotheses],
            "definition": [
                json.dumps({"type": "HalfSpace", "normal": h.normal, "offset": h.offset}) for h in grid.hypotheses
            ],
        }
    )
    store.append({"null_hypos": hypotheses, "config": _config_row(job, start=0)})


def _config_row(job: Job, start: int) -> pd.DataFrame:
    row = {
        "start": start,
        "record": job.record.model_dump_json(),
        "environment": json.dumps(environment()),
    }
    return job.signed(pd.DataFrame([row]))


def _checked(kind: Kind, settings: Mapping[str, Any], grid: Grid, model: Model) -> Settings:
    """Return the settings, or raise everything that is wrong with them and the grid."""
    errors: list[InvalidInputError] = []
    try:
        _check_grid(grid, model)
    except InvalidInputError as error:
        errors.append(error)
    try:
        checked = _SETTINGS[kind].checked(settings)
    except InvalidInputError as error:
        errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidInputError([problem for error in errors for problem in error.problems])
    return checked


def _check_grid(grid: Grid, model: Model) -> None:
    """Check that the design's family covers the grid."""
    family = model.family
    if grid.dim != family.dim:
        raise InvalidInputError(
            f"The grid must have the parameters of the design's family {family} ({family.dim}: {family.coordinates}); "
            f"got {grid.dim}."
        )
    lower, upper = family.domain
    tiles = grid.tiles
    outside = ((tiles.theta - tiles.radius <= lower) | (tiles.theta + tiles.radius >= upper)).any(axis=1)
    if outside.any():
        tile = int(np.argmax(outside))
        raise DomainError(
            f"Every tile must lie inside the natural parameter space of {family} ({family.coordinates}: "
            f"{lower.tolist()} to {upper.tolist()}, ends excluded); {int(outside.sum())} do not, the first around "
            f"theta={tiles.theta[tile].tolist()} with radius {tiles.radius[tile].tolist()}. Use a smaller region."
        )


def _check_unfinished_start(store: Store, schema: Schema, grid: Grid) -> None:
    """Refuse a database in which the start of another job was interrupted."""
    same = store.schema == schema
    if same:
        known = store.table("tiles").set_index("id")
        given = Tiles.concatenate([grid.tiles, grid.retired]).to_frame().set_index("id").drop(columns="n_sims")
        same = bool(known.index.isin(given.index).all()) and known[given.columns].equals(given.loc[known.index])
    if not same:
        raise InvalidInputError(
            f"{store.location} holds the interrupted start of another job. Start that one again, or give the path "
            "of a new file."
        )


def _kind_problems(record: JobRecord, kind: Kind) -> list[str]:
    if record.kind == kind:
        return []
    return [f"It is a job of the kind {record.kind!r}, not {kind!r}: use ada_{record.kind}, or another database."]


def _grid_problems(record: JobRecord, grid: Grid | None) -> list[str]:
    if grid is None or grid_fingerprint(grid) == record.grid_fingerprint:
        return []
    return ["Its grid is another one than the grid given. Leave out grid= to continue it, or use another database."]


def _request_problems(record: JobRecord, requested: Mapping[str, Any], history: list[JobRecord]) -> list[str]:
    """Refuse settings that the job does not have and never had; those it was started with may be repeated."""
    fields = _SETTINGS[record.kind].model_fields
    return [
        f"It was started with {name}={record.settings[name]!r}, not {value!r}. Leave out {name}= to continue it"
        + (f", or change it with overrides={{{name!r}: {value!r}}}." if _overridable(record, name) else ".")
        for name, value in requested.items()
        if value != fields[name].default and all(value != past.settings[name] for past in history)
    ]


def _override_problems(record: JobRecord, overrides: Mapping[str, Any]) -> list[str]:
    allowed = ", ".join(sorted(_SETTINGS[record.kind].overridable))
    problems = [
        f"overrides may not change {name!r}: results that exist depend on it. They may change {allowed}."
        for name in overrides
        if not _overridable(record, name) and overrides[name] != record.settings.get(name)
    ]
    try:
        _SETTINGS[record.kind].checked({**record.settings, **overrides})
    except InvalidInputError as error:
        problems += error.problems
    return problems


def _overridable(record: JobRecord, name: str) -> bool:
    return name in _SETTINGS[record.kind].overridable


def _backend_problems(record: JobRecord, backend: Backend | None) -> list[str]:
    if backend is None:
        return []
    return [
        f"It has {name}={getattr(record, name)}, but the backend has {getattr(backend, name)}. Results depend on it."
        for name in ("n_zones", "coordinate_every")
        if getattr(record, name) != getattr(backend, name)
    ]


def _model_problems(record: JobRecord, model: Model) -> list[str]:
    given = ModelRecord.of(model)
    names = {"fingerprint": "source code"}
    return [
        f"Its design has the {names.get(field, field)} {getattr(record.model, field)!r}, but the one given has "
        f"{getattr(given, field)!r}. Give the same design, or accept_changed_model=True if the change cannot matter."
        for field in ModelRecord.model_fields
        if getattr(record.model, field) != getattr(given, field)
    ]
