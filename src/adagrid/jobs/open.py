"""Starts a job, or continues one that exists. Everything is checked before anything is written."""

from __future__ import annotations

import difflib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from adagrid._deadline import TimeUpError, within
from adagrid.algorithms import (
    Algorithm,
    CalibrateSettings,
    InterpolatedCalibrateSettings,
    InterpolatedValidateSettings,
    Settings,
    StagedAlgorithm,
    ValidateSettings,
)
from adagrid.algorithms.exact import ExactErrors
from adagrid.backends import Backend, LocalBackend
from adagrid.bounds import tilt_bound
from adagrid.engine import MAX_SIMS, Simulator
from adagrid.errors import InvalidInputError, ResumeError
from adagrid.families import Family
from adagrid.grid import Grid, NullHypothesis, Tiles
from adagrid.grid.definition import definition, sources
from adagrid.grid.hypotheses import parted
from adagrid.jobs.backup import Backup, Destination
from adagrid.jobs.certify import certify
from adagrid.jobs.crew import Crew, differences
from adagrid.jobs.evidence import read_spots
from adagrid.jobs.identity import grid_fingerprint, model_record
from adagrid.jobs.interrupt import stoppable
from adagrid.jobs.job import AnyJob, Job, logger
from adagrid.jobs.journal import Journal
from adagrid.jobs.last_look import look_once_more
from adagrid.jobs.lead import finish_leftovers, lead
from adagrid.jobs.outcome import Status
from adagrid.jobs.pace import Pace
from adagrid.jobs.progress import Callback, ProgressDisplay
from adagrid.jobs.record import FIXED, LEADER, SETTINGS, JobRecord, Kind, ModelRecord, read_data, read_records
from adagrid.jobs.refute import gather_evidence
from adagrid.jobs.run import Run, read_grid_tiles, read_hypotheses
from adagrid.jobs.stages import lead_stages
from adagrid.jobs.work import Work, algorithm_of, classic_algorithm
from adagrid.models import Model
from adagrid.stores import Method, Schema, Store
from adagrid.stores.base import INCIDENTAL, Table, zone_of

# How a field of a record is called, and how differences are accepted that may be.
_NAMES = {"reject_when": "direction"}
_ACCEPTED = "accept_changed_model=True if the change cannot matter, which the certificate will say"
# Tiles at whose centres is tried whether a design computes its errors.
_TRIED = 64


def start_job(
    kind: Kind,
    model: Model,
    grid: Grid,
    store: Store,
    settings: Mapping[str, Any],
    *,
    method: Method = "classic",
    job_id: str | None = None,
    backend: Backend | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
    kept: Sequence[Destination] = (),
) -> Run:
    """Start a job in an empty database and run it to its end.

    Args:
        kind: "validate" or "calibrate".
        model: the design.
        grid: the region, covered by tiles.
        store: an open store without a job.
        settings: values for the settings of the kind of job.
        method: "classic" adapts tiles, "interpolated" plans from a pilot and certifies cells between points.
        job_id: name of the job; made up if None.
        backend: where work runs; in this process if None.
        callback: called after every step.
        progress: whether to show progress; None shows it where the standard error is a terminal.
        kept: where the job is kept besides the store.

    Raises:
        InvalidInputError: with everything that is wrong with the settings, the grid and the design.
        ModelError: if the design fails; the job can then be continued.
    """
    backend = backend or LocalBackend()
    checked = _checked(method, kind, settings, grid, model)
    for destination in kept:
        destination.check(None)
    simulator = Simulator(
        model,
        checked.model_seed,
        grid.tiles.n_nulls,
        at_most=_at_most(checked),
        selects=kind == "calibrate",
        value_range=checked.rounded_range,
    )
    record = JobRecord(
        job_id=job_id or uuid.uuid4().hex[:12],
        kind=kind,
        method=method,
        settings=checked.model_dump(),
        model=model_record(model, simulator.fingerprint),
        design=0,
        null_hypos=[definition(hypothesis) for hypothesis in grid.hypotheses],
        grid_fingerprint=grid_fingerprint(grid),
        theta_min=np.min(grid.tiles.theta - grid.tiles.radius, axis=0).tolist(),
        theta_max=np.max(grid.tiles.theta + grid.tiles.radius, axis=0).tolist(),
        n_zones=backend.n_zones,
        coordinate_every=backend.coordinate_every,
        chunk=simulator.shape.chunk,
        block=simulator.shape.block,
        computed=_computes(model, checked, grid.tiles),
    )
    known = _known_tiles(record, grid.tiles)
    algorithm = algorithm_of(record, model, known, grid.hypotheses)
    schema = _schema(grid, algorithm, simulator)
    tiles, done = _initial_rows(grid, getattr(checked, "init_sims", 0), record.n_zones)
    is_new = not store.exists
    if is_new:
        store.create(schema)
    else:
        _check_unfinished_start(store, schema, tiles, done)
    work = Work[Any](record, algorithm, simulator, known, grid.hypotheses, Crew.gather(None, 0))
    job = _job(store, work, backend, callback, progress, kept)
    _write_job(job, grid.hypotheses, tiles, done, is_new=is_new)
    return _run(job, lambda: grid.tiles)


def _computes(model: Model, settings: Settings, tiles: Tiles) -> bool:
    """Return whether a design computes the errors of a job: that is tried at some of its tiles' centres."""
    if not model.is_exact or settings.rounded_range is not None:
        return False
    some = tiles.take(np.argsort(tiles.id)[:_TRIED])
    if isinstance(settings, (CalibrateSettings, InterpolatedCalibrateSettings)):
        return ExactErrors(model).computes(some.theta, some.null_truth, level=settings.alpha)
    assert isinstance(settings, (ValidateSettings, InterpolatedValidateSettings))  # noqa: S101 - the other kind
    return ExactErrors(model).computes(some.theta, some.null_truth, threshold=settings.cut)


def _at_most(settings: Settings) -> int:
    """Return about how many simulations tiles will have, for the size of compiled calls."""
    if isinstance(settings, (ValidateSettings, CalibrateSettings)):
        return max(settings.init_sims, settings.max_sims // 16)
    return MAX_SIMS


def _known_tiles(record: JobRecord, tiles: Tiles) -> Tiles | None:
    """Return the tiles of a job's grid, if its algorithm knows them."""
    return tiles if record.method == "interpolated" else None


def _schema(grid: Grid, algorithm: Algorithm | StagedAlgorithm, simulator: Simulator) -> Schema:
    if isinstance(algorithm, Algorithm):
        return Schema(grid.dim, grid.tiles.n_nulls, algorithm.result_columns(simulator.dtype))
    return Schema(
        grid.dim,
        grid.tiles.n_nulls,
        algorithm.certificate_columns,
        method="interpolated",
        pilot=algorithm.pilot_columns(simulator.dtype),
        vertices=algorithm.vertex_columns(simulator.dtype),
    )


def continue_job(
    kind: Kind,
    model: Model,
    store: Store,
    *,
    grid: Grid | None = None,
    requested: Mapping[str, Any] | None = None,
    job_id: str | None = None,
    method: Method | None = None,
    overrides: Mapping[str, Any] | None = None,
    accept_changed_model: bool = False,
    backend: Backend | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
    kept: Sequence[Destination] = (),
) -> Run:
    """Continue the job in a database and run it to its end.

    Args:
        kind: "validate" or "calibrate".
        model: the design, the same as when the job was started.
        store: an open store with a job.
        grid: if given, must be the job's.
        requested: settings that the caller asked for. With a grid they are a whole job's and must be this one's;
            without, those that equal their defaults may be the job's whatever they are.
        job_id: if given, must be the job's.
        method: if given, must be the job's.
        overrides: settings to change from here on, if no existing result depends on them.
        accept_changed_model: go on although the design's name, arguments or source are not the recorded ones, or the
            source of a null hypothesis is not.
        backend: where work runs; must have the job's zones and coordination interval.
        callback: called after every step.
        progress: whether to show progress.
        kept: where the job is kept besides the store.

    Raises:
        ResumeError: if the job cannot be continued as asked.
    """
    history = read_records(store)
    record = history[-1]
    problems = _kind_problems(record, kind, method)
    if not problems:
        problems += _grid_problems(record, grid)
        problems += _request_problems(history, requested or {}, whole=grid is not None)
        if job_id not in (None, record.job_id):
            problems.append(
                f"Its job_id is {record.job_id!r}, not {job_id!r}. Leave out job_id=, or use another database."
            )
        problems += _override_problems(record, overrides or {})
        problems += _certified_problems(store, record, overrides or {})
        problems += _backend_problems(record, backend)
        given = model_record(model, None)
        if any(getattr(given, name) != getattr(record.model, name) for name in FIXED):  # it may not fit what follows
            problems += _model_problems(record, given, accept_changed_model)
    _refuse(store, problems)
    for destination in kept:
        destination.check(store)
    backend = backend or LocalBackend(record.n_zones, record.coordinate_every)
    settings = record.settings_class.checked({**record.settings, **(overrides or {})}).model_dump()
    value_range = record.checked_settings().rounded_range
    simulator = Simulator(
        model, settings["model_seed"], store.schema.n_nulls, shape=record.shape, value_range=value_range
    )
    given = given.model_copy(update={"program": simulator.fingerprint})
    _refuse(store, _model_problems(record, given, accept_changed_model))
    hypotheses = _job_hypotheses(store, record, grid, accept_changed_model)
    null_hypos = [definition(hypothesis) for hypothesis in hypotheses]
    design = _design_number(history, given, null_hypos)
    now = {"settings": settings, "model": given, "design": design, "null_hypos": null_hypos}
    changed = record.model_copy(update=now)
    known = _known_tiles(changed, read_grid_tiles(store))
    algorithm = algorithm_of(changed, model, known, hypotheses)
    crew = Crew.gather(store, len(history) + (design != record.design))
    work = Work[Any](changed, algorithm, simulator, known, hypotheses, crew)
    job = _job(store, work, backend, callback, progress, kept)
    return _run(job, partial(read_grid_tiles, store), _as_begun(job, record))


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
            raise ResumeError(f"{start}\n{_source_problem(name, *changed)}")
    return hypotheses


def _as_begun(job: AnyJob, record: JobRecord) -> AnyJob:
    """Return a job as its unfinished step was begun: what changes no decision holds at once, the rest after it."""
    if record.method == "interpolated":  # a stage is finished as it was planned
        return job
    decisions = {name: value for name, value in record.settings.items() if name not in Settings.procedural}
    begun = job.record.model_copy(update={"settings": job.record.settings | decisions})
    algorithm = classic_algorithm(begun, job.work.simulator.model, job.hypotheses)
    crew = replace(job.work.crew, start=job.work.crew.start - (begun.design != record.design))
    return replace(job, work=replace(job.work, record=begun, algorithm=algorithm, crew=crew))


def _run(job: AnyJob, tiles: Callable[[], Tiles], begun: AnyJob | None = None) -> Run:
    """Let the leader work, with messages going to the database, and return what can be read afterwards.

    Args:
        job: the job.
        tiles: returns the tiles of its grid.
        begun: the same with the settings of the step that is under way, if the job is continued.
    """
    with stoppable(job), job.recorded():
        with job.display, job.backend, within(job.algorithm.settings.timeout), suppress(TimeUpError):
            status = Status.TIMED_OUT
            if begun is not None:
                _take_up(job, begun)
            status = _led(job, tiles, is_new=begun is None)
        job.append({"reports": job.journal.report("finish", status=status.name)})
        logger.info("finished: %s", status.name)
        job.finish_backups()
    return Run(job.store, status, partial(certify, job))


def _take_up(job: AnyJob, begun: AnyJob) -> None:
    """Finish the step that is under way as it was begun, then let the job's own settings take effect."""
    _tell_changed_environment(job)
    if begun.work.crew.start != job.work.crew.start:  # what the begun step simulates is of another design
        job.append({"config": _config_row(begun)})
    if job.record.method == "classic":
        try:
            finish_leftovers(begun)
        except TimeUpError:
            if begun.record.settings != job.record.settings:
                job.display.warn("The time was used up within a step that had begun before. Give overrides= again.")
            raise
    job.append({"config": _config_row(job)})
    job.back_up()


def _led(job: AnyJob, tiles: Callable[[], Tiles], *, is_new: bool) -> Status:
    """Test the declared family, lead the job, and look once more at what it has certified."""
    spots = None if is_new else read_spots(job.store)
    if spots is not None and spots.refutes:
        return Status.REFUTED
    evidence = gather_evidence(job, tiles, is_new=is_new)
    if evidence is not None and evidence.refutes:
        return Status.REFUTED
    status = lead_stages(job, is_new=is_new) if job.record.method == "interpolated" else lead(job)
    spots = look_once_more(job, evidence, spots)
    return Status.REFUTED if spots is not None and spots.refutes else status


def _tell_changed_environment(job: AnyJob) -> None:
    """Log what of the surroundings could change the bits of simulations since the last start."""
    config = job.store.table("config")
    (past,) = read_data(config["environment"][config["worker_id"] == LEADER][-1:], job.store.location)
    for difference in differences(past, job.work.crew.leader.environment):
        logger.warning("changed since the last start: %s", difference)


def _job(
    store: Store,
    work: Work[Any],
    backend: Backend,
    callback: Callback | None,
    progress: bool | None,
    kept: Sequence[Destination],
) -> AnyJob:
    staged = work.record.method == "interpolated"
    display = ProgressDisplay(progress, work.record.model.direction, staged=staged)
    return Job(
        store=store,
        work=work,
        backend=backend,
        journal=Journal(store, LEADER),
        display=display,
        callback=callback,
        backups=[Backup(store, destination, display.warn) for destination in kept],
        pace=Pace(work.record.block),
    )


def _initial_rows(grid: Grid, init_sims: int, n_zones: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of tiles and done that a job begins with."""
    frames = []
    for tiles in (grid.tiles.with_n_sims(init_sims), grid.retired):
        zone = zone_of(tiles.id, 0, n_zones)
        frames.append(tiles.to_frame().assign(coordination_id=0, zone_id=zone, step_id=0))
    rows = pd.concat(frames, ignore_index=True)
    rows["position"] = rows.groupby("zone_id").cumcount()
    if rows["id"].duplicated().any() or (rows["id"] == 0).any():
        raise InvalidInputError("Two tiles of the grid have the same 64-bit id. Use another n or another region.")
    return rows, frames[1].assign(active=0, refine=0, deepen=0, split=grid.n_children)


def _write_job(
    job: AnyJob, hypotheses: Sequence[NullHypothesis], tiles: pd.DataFrame, done: pd.DataFrame, *, is_new: bool
) -> None:
    """Write the initial tiles, the hypotheses, and last the row that makes the job exist."""
    job.append_missing({"tiles": job.signed(tiles)}, key="tiles", is_new=is_new)
    job.append_missing({"done": job.signed(done)}, key="done", is_new=is_new)
    rows = [
        {
            "position": position,
            "description": hypothesis.describe(),
            "definition": definition(hypothesis),
        }
        for position, hypothesis in enumerate(hypotheses)
    ]
    null_hypos = pd.DataFrame(rows, columns=list(job.store.schema.tables["null_hypos"]))
    job.append({"null_hypos": null_hypos, "config": _config_row(job)})


def _config_row(job: AnyJob) -> pd.DataFrame:
    crew = job.work.crew
    return crew.leader.config_row(crew.start, job.record).assign(time=time.time())


def _checked(method: Method, kind: Kind, settings: Mapping[str, Any], grid: Grid, model: Model) -> Settings:
    """Return the settings, or raise everything that is wrong with them and the grid."""
    errors: list[InvalidInputError] = []
    try:
        _check_grid(grid, model)
    except InvalidInputError as error:
        errors.append(error)
    try:
        checked = SETTINGS[method, kind].checked(settings)
        if not errors:
            _check_role(grid, checked)
    except InvalidInputError as error:
        errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidInputError([problem for error in errors for problem in error.problems])
    return checked


def _check_grid(grid: Grid, model: Model) -> None:
    """Check that the design's family covers the grid."""
    if not isinstance(grid, Grid):
        raise InvalidInputError(f"grid must be made by cartesian_grid or create_grid; got {type(grid).__name__}.")
    family = model.family
    if grid.dim != family.dim:
        raise InvalidInputError(
            f"The grid must have the parameters of the design's family {family} ({family.dim}: {family.coordinates}); "
            f"got {grid.dim}."
        )
    _check_coordinates(grid, family)
    _check_scales(grid, family)
    tilt_bound(family, grid.tiles.theta, grid.tiles.displacements(grid.tiles.theta), 0.5)  # raises DomainError


def _check_coordinates(grid: Grid, family: Family) -> None:
    """Check that hypotheses about probabilities are about parameters that are their logits."""
    for hypothesis in grid.hypotheses:
        wrong = [i for i in hypothesis.probabilities if family.scales[i] != "probability"]
        if wrong:
            raise InvalidInputError(
                f"The hypothesis {hypothesis.describe()} takes theta{wrong[0]} for the logit of a probability, but the "
                f"parameters of {family} are {family.coordinates}. State a hypothesis about these, such as "
                f"'theta1 <= theta0 - 0.1', or a class of your own."
            )


def _check_scales(grid: Grid, family: Family) -> None:
    """Check that parameters were stated in scales that the family has, and that rates are not taken for logits."""
    if grid.scales is not None:
        wrong = [i for i, scale in enumerate(grid.scales) if scale not in ("natural", family.scales[i])]
        if wrong:
            raise InvalidInputError(
                f"scale={grid.scales[wrong[0]]!r} of theta{wrong[0]} does not fit {family}, whose parameters are "
                f"{family.coordinates}. Use {family.scales[wrong[0]]!r} or 'natural'."
            )
        return
    rates = np.array([scale == "probability" for scale in family.scales])
    if not rates.any():
        return
    tiles = Tiles.concatenate([grid.tiles, grid.retired])
    lower, upper = (tiles.theta - tiles.radius).min(axis=0), (tiles.theta + tiles.radius).max(axis=0)
    if (lower[rates] > 0).all() and (upper[rates] < 1).all():
        raise InvalidInputError(
            f"The parameters of {family} are logits, and all limits of the region are between 0 and 1, as response "
            f"rates are: from {lower[rates].tolist()} to {upper[rates].tolist()}. Say scale='probability' in "
            "cartesian_grid if they are rates, or scale='natural' if they are logits."
        )


def _check_role(grid: Grid, settings: Settings) -> None:
    """Check that a grid's hypotheses are what the quantity is bounded for."""
    wanted = getattr(settings, "quantity", "error")
    if wanted == "power" and grid.hypotheses and not grid.of_alternatives:
        raise InvalidInputError(
            "Power is bounded where alternatives hold, which are more than the null hypotheses' being false (at their "
            "boundary power is the Type I Error): make the grid with alternatives=, such as 'theta1 >= theta0 + 0.5', "
            f"in place of null_hypos={[hypothesis.describe() for hypothesis in grid.hypotheses]}."
        )
    if wanted == "error" and grid.of_alternatives:
        raise InvalidInputError(
            "The grid has alternatives, under which there is no Type I Error. Ask for quantity='power' in ada_validate "
            "or validate, or make the grid with null_hypos=."
        )
    curved = parted(grid.hypotheses)[1]
    if wanted == "mean" and curved and len(grid.hypotheses) > 1:
        raise InvalidInputError(
            "The mean of a statistic is bounded over hypotheses of which at most one is no half-space, because next to "
            "a curved boundary it would be that of another choice of true hypotheses; got "
            f"{[hypothesis.describe() for hypothesis in grid.hypotheses]}."
        )


def _check_unfinished_start(store: Store, schema: Schema, tiles: pd.DataFrame, done: pd.DataFrame) -> None:
    """Refuse a database in which the start of another job was interrupted."""
    same = store.schema == schema
    expected: dict[Table, pd.DataFrame] = {"tiles": tiles, "done": done}
    for name, rows in expected.items():
        if same:
            known, given = store.table(name).set_index("id"), rows.set_index("id")
            columns = [column for column in known.columns if column not in INCIDENTAL]
            same = bool(known.index.isin(given.index).all())
            same = same and bool((known[columns] == given.loc[known.index, columns]).all(axis=None))
    if not same:
        raise InvalidInputError(
            f"{store.location} holds the interrupted start of another job. Start that one again, or give the path "
            "of a new file."
        )


def _kind_problems(record: JobRecord, kind: Kind, method: Method | None) -> list[str]:
    problems = []
    if record.kind != kind:
        problems.append(
            f"It is a job of the kind {record.kind!r}, not {kind!r}: use ada_{record.kind}, or another database."
        )
    if method not in (None, record.method):
        problems.append(f"Its method is {record.method!r}, not {method!r}. Leave out method=, or use another database.")
    return problems


def _certified_problems(store: Store, record: JobRecord, overrides: Mapping[str, Any]) -> list[str]:
    """Refuse to change a job after its accepted pass: what came next would be chosen by what it showed."""
    kinds = store.table("coordinations")["kind"].tolist()
    if "certify" in kinds:
        harmless = Settings.procedural - {"n_steps"}
    elif record.kind == "calibrate" and "pass" in kinds:
        harmless = Settings.procedural
    else:
        return []
    changed = {name for name, value in overrides.items() if value != record.settings.get(name)} - harmless
    if not changed:
        return []
    return [
        "Its certifying pass, which is accepted whatever it shows, has begun; overrides may not change "
        f"{', '.join(sorted(changed))} after that. Start a new job with another model_seed."
    ]


def _grid_problems(record: JobRecord, grid: Grid | None) -> list[str]:
    if grid is None or grid_fingerprint(grid) == record.grid_fingerprint:
        return []
    return ["Its grid is another one. Leave out grid= to continue it; for a new job give another db=."]


def _request_problems(history: list[JobRecord], requested: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Refuse settings that the job does not have and never had; those it was started with may be repeated.

    Jobs that began before a setting existed have its default.
    """
    record = history[-1]
    fields = record.settings_class.model_fields
    had = [{name: field.default for name, field in fields.items()} | past.settings for past in history]
    return [
        f"It was started with {name}={had[-1][name]!r}, not {value!r}. To continue it give the database "
        + ("without a grid and other settings" if whole else f"without {name}=")
        + (f", or change it with overrides={{{name!r}: {value!r}}}" if _overridable(record, name) else "")
        + "; for a new job give another db=."
        for name, value in requested.items()
        if name in fields and (whole or value != fields[name].default) and all(value != past[name] for past in had)
    ]


def _override_problems(record: JobRecord, overrides: Mapping[str, Any]) -> list[str]:
    allowed = ", ".join(sorted(record.settings_class.overridable()))
    problems = [
        f"overrides may not change {name!r}: results that exist depend on it. They may change {allowed}."
        for name in overrides
        if not _overridable(record, name) and overrides[name] != record.settings.get(name)
    ]
    try:
        record.settings_class.checked({**record.settings, **overrides})
    except InvalidInputError as error:
        problems += error.problems
    return problems


def _overridable(record: JobRecord, name: str) -> bool:
    return name in record.settings_class.overridable()


def _backend_problems(record: JobRecord, backend: Backend | None) -> list[str]:
    if backend is None:
        return []
    return [
        f"It has {name}={getattr(record, name)}, but the backend has {getattr(backend, name)}. Results depend on it."
        for name in ("n_zones", "coordinate_every")
        if getattr(record, name) != getattr(backend, name)
    ]


def _model_problems(record: JobRecord, given: ModelRecord, accept_changed: bool) -> list[str]:
    """Refuse another design. What turns or misreads the results that exist can never be accepted."""
    recorded = record.model
    differing = recorded.differing(given, computed=record.computed)
    problems = []
    for name in differing:
        if accept_changed and name not in FIXED:
            continue
        if name in ("source", "family_source"):
            what = "design" if name == "source" else "design's family"
            problems.append(_source_problem(what, getattr(recorded, name), getattr(given, name)))
        elif name in (*FIXED, "name", "arguments"):
            problems.append(
                f"Its design has the {_NAMES.get(name, name)} {getattr(recorded, name)!r}, but the one given has "
                f"{getattr(given, name)!r}. Give the same design{'.' if name in FIXED else f', or {_ACCEPTED}.'}"
            )
    if differing and set(differing) <= {"program", "content"} and not accept_changed:
        problems.append(
            "Its design simulates something else than it did, although its source and arguments are the same: a file "
            "that it reads, an attribute that was set later, or an array that was changed in place differs. Give the "
            f"same design, or {_ACCEPTED}."
        )
    return problems


def _source_problem(what: str, recorded: str | None, given: str | None) -> str:
    """Return why the source of a part of a job cannot be the same, with the lines that differ."""
    if recorded is None or given is None:
        when = "when the job was started" if recorded is None else "now"
        return (
            f"The source of its {what} could not be found {when}, so that nobody knows whether it has changed: it is "
            "not in a file, or the file was edited after it was imported. Run the job from a file, or give "
            f"{_ACCEPTED}."
        )
    begin = f"The source of its {what} has changed since: it has the source code with -, but the one given that with +."
    lines = difflib.unified_diff(recorded.splitlines(), given.splitlines(), "recorded", "given", lineterm="")
    return "\n".join([f"{begin} Give the same one, or {_ACCEPTED}.", *lines])
