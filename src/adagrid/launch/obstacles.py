"""Why a job cannot be continued as asked: sentences with the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from adagrid.backends import Backend
from adagrid.errors import InvalidInputError
from adagrid.launch.identity import grid_fingerprint
from adagrid.launch.request import Request
from adagrid.records import FIXED, JobRecord, ModelRecord
from adagrid.settings.goals import Kind
from adagrid.settings.settings import Common, Settings
from adagrid.stores import Store

# How a field of a record is called, and how differences are accepted that may be.
_NAMES = {"reject_when": "direction"}
_ACCEPTED = (
    "options=ada.RunOptions(accept_changed_model=True) if the change cannot matter, which the certificate will say"
)


def kind_obstacles(record: JobRecord, kind: Kind, method: str | None) -> list[str]:
    """Return why a job of another kind, or by another method, is not the one that was asked for."""
    problems = []
    if record.kind != kind:
        problems.append(
            f"It is a job of the kind {record.kind!r}, not {kind!r}: use ada_{record.kind}, or another database."
        )
    if method not in (None, record.method.name):
        problems.append(
            f"Its method is {record.method.name!r}, not {method!r}. Leave out method=, or use another database."
        )
    return problems


def obstacles(store: Store, history: Sequence[JobRecord], request: Request) -> list[str]:
    """Return why a job cannot be continued as asked, but for its design.

    Args:
        store: the job's.
        history: what the job has recorded of itself at each of its starts.
        request: what is asked for.
    """
    record, grid, job_id = history[-1], request.grid, request.options.job_id
    problems = []
    if grid is not None and grid_fingerprint(grid) != record.grid_fingerprint:
        problems.append("Its grid is a different one. Leave out grid= to continue it; for a new job give another db=.")
    problems += _request_problems(history, request.values, whole=grid is not None)
    if job_id not in (None, record.job_id):
        problems.append(f"Its job_id is {record.job_id!r}, not {job_id!r}. Leave out job_id=, or use another database.")
    problems += _override_problems(record, request.overrides)
    problems += _accepted_problems(store, record, request.overrides)
    return problems + _backend_problems(record, request.backend)


def _request_problems(history: Sequence[JobRecord], requested: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Refuse settings that the job does not have and never had; those it was started with may be repeated."""
    record = history[-1]
    had = [past.settings.by_name() for past in history]
    default = _defaults(record.settings)
    return [
        f"It was started with {name}={had[-1][name]!r}, not {value!r}. To continue it give the database "
        + ("without a grid and other settings" if whole else f"without {name}=")
        + (f", or change it with overrides={{{name!r}: {value!r}}}" if name in record.settings.changeable else "")
        + "; for a new job give another db=."
        for name, value in requested.items()
        if (value != default[name] or (whole and name not in Common.procedural))
        and all(value != past[name] for past in had)
    ]


def _defaults(settings: Settings) -> dict[str, Any]:
    """Return the default of every setting of a job that has one, None for the others, by name."""
    parts = (type(settings.goal), type(settings.method), Common)
    return {name: field.get_default() for part in parts for name, field in part.model_fields.items()}


def _override_problems(record: JobRecord, overrides: Mapping[str, Any]) -> list[str]:
    changeable, had = record.settings.changeable, record.settings.by_name()
    allowed = f"They may change {', '.join(sorted(changeable))}."
    problems = [f"overrides has {name!r}, which is no setting of the job. {allowed}" for name in overrides.keys() - had]
    problems += [
        f"overrides may not change {name!r} from {had[name]!r} to {value!r}: results that exist depend on it. {allowed}"
        for name, value in overrides.items()
        if name in had.keys() - changeable and value != had[name]
    ]
    try:
        record.settings.changed({name: value for name, value in overrides.items() if name in changeable})
    except InvalidInputError as error:
        problems += error.problems
    return problems


def _accepted_problems(store: Store, record: JobRecord, overrides: Mapping[str, Any]) -> list[str]:
    """Refuse to change a job after its accepted pass: what came next would be chosen by what it showed."""
    kinds = store.table("coordinations")["kind"].tolist()
    settings, had = record.settings, record.settings.by_name()
    lost = settings.changeable - record.method.still_changeable(settings, kinds)
    changed = sorted(name for name in lost if name in overrides and overrides[name] != had[name])
    if not changed:
        return []
    return [
        "Its certifying pass, which is accepted whatever it shows, has begun; overrides may not change "
        f"{', '.join(changed)} after that. Start a new job with another model_seed."
    ]


def _backend_problems(record: JobRecord, backend: Backend | None) -> list[str]:
    if backend is None:
        return []
    return [
        f"It has {name}={getattr(record, name)}, but the backend has {getattr(backend, name)}. Results depend on it."
        for name in ("n_zones", "coordinate_every")
        if getattr(record, name) != getattr(backend, name)
    ]


def design_obstacles(record: JobRecord, given: ModelRecord, accept_changed: bool) -> list[str]:
    """Refuse another design. What turns or misreads the results that exist can never be accepted."""
    recorded = record.model
    differing = recorded.differing(given, computed=record.computed)
    problems = []
    for name in differing:
        if accept_changed and name not in FIXED:
            continue
        if name in ("source", "family_source"):
            what = "design" if name == "source" else "design's family"
            problems.append(source_obstacle(what, getattr(recorded, name), getattr(given, name)))
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


def source_obstacle(what: str, recorded: str | None, given: str | None) -> str:
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
