"""Opens the database that a caller names, and starts or resumes the job in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from adagrid._numpy_settings import usual_numpy_errors
from adagrid.backends import Backend
from adagrid.copies.backup import destinations
from adagrid.errors import InvalidInputError, StoreError
from adagrid.grid import Grid
from adagrid.launch.designs import checked_design, checked_range, decision_threshold
from adagrid.launch.request import Request
from adagrid.launch.resume import resume_job
from adagrid.launch.start import start_job
from adagrid.methods.interpolated import Interpolated
from adagrid.models import Model
from adagrid.results.run import Run
from adagrid.settings.goals import Kind
from adagrid.settings.method import Method, UnknownMethodError, method_named
from adagrid.settings.run_options import RunOptions
from adagrid.stores import Store, is_new_file, open_store

Database: TypeAlias = str | PathLike[str] | Store | None
"""A path of a DuckDB file, the URL of a job on a ClickHouse server, a store, or None for a database in memory."""


@usual_numpy_errors
def launch(
    kind: Kind,
    model: Model | type[Model],
    grid: Grid | None,
    db: Database,
    values: Mapping[str, Any],
    *,
    method: Method | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    options: RunOptions | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
) -> Run:
    """Start a job, or resume the one in the database, and run it to its end.

    Args:
        kind: "validate" or "calibrate".
        model: the design, or its class.
        grid: the region; needed for a new job.
        db: the database.
        values: the settings of the goal, the model seed, the timeout and so on, by name.
        method: how to certify: a method or its name; None is interpolation for a new job.
        overrides: settings to change when the job is continued.
        options: what steers the run.
        backend: where work runs.
        progress: whether to show progress.
    """
    design, checked_options = checked_design(model), _checked_options(options)
    given = {**values, **checked_options.settings()}
    if isinstance(method, Method):
        given |= method.model_dump()
    complete, checked_method = _complete(kind, given, design), _checked_method(method)
    request = Request(
        kind=kind,
        model=design,
        grid=grid,
        values=complete,
        method=checked_method,
        method_name=None if method is None else checked_method.name,
        overrides=_checked_overrides(overrides),
        options=checked_options,
        backend=_checked_backend(backend),
        progress=progress,
    )
    created = is_new_file(db)
    store = open_store(db)
    try:
        places = destinations(store, request.options.backup, request.options.snapshot)
        if store.exists and len(store.table("config")):
            return resume_job(request, store, places)
        return start_job(request, _needed(request, store), store, places)
    except BaseException:
        is_empty = created and not store.exists
        if store is not db:
            with suppress(StoreError):  # the first error is the one to report
                store.close()
        if is_empty:  # nothing was written: leave no file behind
            Path(store.location).unlink(missing_ok=True)
        raise


def _needed(request: Request, store: Store) -> Grid:
    """Return the grid of a new job, or raise what is missing or too much."""
    problems, values = [], request.values
    if request.grid is None:
        problems.append(f"A new job needs grid=, and {store.location} holds no job to continue.")
    if request.kind == "validate" and values.get("threshold") is None and values.get("quantity") != "mean":
        problems.append("A new validation needs threshold=, in the design's own direction.")
    if request.overrides:
        problems.append("overrides= change a job that is continued; give a new job its settings directly.")
    if problems or request.grid is None:
        raise InvalidInputError(problems)
    return request.grid


def _complete(kind: Kind, given: Mapping[str, Any], design: Model) -> dict[str, Any]:
    """Return settings with what the design says of its threshold and its statistic."""
    values = {name: value for name, value in given.items() if name != "threshold" or value is not None}
    if kind == "validate" and design.decision_threshold is not None:
        values["threshold"] = decision_threshold(design, values.get("threshold"))
    if values.get("quantity") == "mean":
        values["value_range"] = checked_range(design)
    return values


def _checked_method(method: Method | str | None) -> Method:
    if isinstance(method, Method):
        return method
    try:
        return Interpolated() if method is None else method_named(str(method))()
    except UnknownMethodError:
        raise InvalidInputError(
            "method must be 'classic' or 'interpolated', or a method such as ada.Classic(init_sims=1024); got "
            f"{method!r}."
        ) from None


def _checked_options(options: RunOptions | None) -> RunOptions:
    if options is None:
        return RunOptions()
    if not isinstance(options, RunOptions):
        raise InvalidInputError(f"options must be ada.RunOptions(...); got {options!r}.")
    if options.job_id is not None and not isinstance(options.job_id, str):
        raise InvalidInputError(f"job_id must be a text, or None; got {options.job_id!r}.")
    if options.callback is not None and not callable(options.callback):
        raise InvalidInputError(f"callback must be a function of a StepReport; got {options.callback!r}.")
    return options


def _checked_overrides(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    if overrides is None or isinstance(overrides, Mapping):
        return dict(overrides or {})
    raise InvalidInputError(f"overrides must be settings by name, such as {{'n_steps': 200}}; got {overrides!r}.")


def _checked_backend(backend: Backend | None) -> Backend | None:
    if backend is not None:
        if not isinstance(backend, Backend):
            raise InvalidInputError(f"backend must be a Backend, such as LocalBackend(); got {backend!r}.")
        backend.check()
    return backend
