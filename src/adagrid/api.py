"""The entry points: validate and calibrate, with and without adaptation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np

from adagrid._numpy_settings import usual_numpy_errors
from adagrid.algorithms import Settings
from adagrid.algorithms.quantities import Mean, QuantityName
from adagrid.backends import Backend
from adagrid.errors import InvalidInputError, StoreError
from adagrid.families import Family
from adagrid.grid import Grid
from adagrid.jobs import Run, continue_job, start_job
from adagrid.jobs.backup import BackupTo, destinations
from adagrid.jobs.progress import Callback
from adagrid.jobs.record import SETTINGS, Kind
from adagrid.models import Design, Model
from adagrid.models.base import RejectWhen
from adagrid.stores import Method, Store, is_new_file, open_store

# Share of a statistic's range by which rescaling may widen its bounds.
_INACCURATE = 1e-5

Database = str | PathLike[str] | Store | None


def ada_validate(
    model: Model | type[Model],
    *,
    threshold: float | None = None,
    grid: Grid | None = None,
    quantity: QuantityName = "error",
    method: Method | None = None,
    db: Database = None,
    model_seed: int = 0,
    model_kwargs: Mapping[str, Any] | None = None,
    delta: float = 0.01,
    init_sims: int = 8192,
    max_sims: int = 131072,
    max_target: float = 0.002,
    global_target: float = 0.005,
    step_size: int = 1024,
    packet_size: int | None = None,
    tile_batch_size: int | None = None,
    n_steps: int = 100,
    timeout: float | None = None,
    job_id: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    accept_changed_model: bool = False,
    backup: BackupTo | None = None,
    snapshot: str | PathLike[str] | None = None,
    family_lines: int = 8,
    family_sims: int = 512,
    trust_family: str | None = None,
) -> Run:
    """Bound the Type I Error of a design over a region, refining tiles and adding simulations where it is worst.

    With `quantity="power"` the power is bounded from below instead, over a region of the alternative (a grid with
    `alternatives=`, or without hypotheses); with `quantity="mean"` the mean of the statistic, such as an estimate or a
    sample size, whose least and largest value the design has in `value_range`. Every quantity has lower and upper
    bounds at the points and over tiles (`run.results()`, `run.bounds`); what is adapted and judged is the upper bound,
    of power the lower one.

    If the database holds a job it is continued: its settings come from the database.

    Args:
        model: a design, or its class.
        threshold: rejection threshold in the model's own direction; needed for a new job, but for means.
        grid: the region; needed for a new job.
        quantity: "error", "power" or "mean".
        method: "classic" (the default of a new job) refines tiles and adds simulations where the bound is worst;
            certify the run to make it a certificate. "interpolated" plans from a pilot and certifies cells between
            simulated points, with far fewer simulations; a coarse grid is best. It has no init_sims, max_sims and
            step_size.
        db: a path of a DuckDB file, None for a database in memory, the URL of a job on a ClickHouse server
            (clickhouse://user@host:port/job_id?secure=true), or a store.
        model_seed: seed of the simulations.
        model_kwargs: constructor arguments, if `model` is a class.
        delta: one minus the confidence of the bound at each parameter value.
        init_sims: simulations of a tile of the initial grid.
        max_sims: the most simulations of a tile: init_sims times a power of two.
        max_target: converged when tiles that could hold the worst error have at most this slack,
        global_target: and every tile has at most this slack.
        step_size: tiles worked on in a step.
        packet_size: tiles simulated and written together; does not change the answer.
        tile_batch_size: tiles whose simulations are in memory together; does not change the answer.
        n_steps: the most steps of a zone, the initial grid included.
        timeout: seconds after which the job ends within a packet's length, also while it plans; continue it later.
        job_id: name of a new job.
        overrides: when continuing, settings to change from here on: n_steps, timeout, packet_size,
            tile_batch_size, and the targets.
        callback: called with a StepReport after every step.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default where the standard error is a terminal.
        accept_changed_model: continue although the design, or the class of a null hypothesis, is not the recorded one.
        backup: where to keep a copy of the job while it runs: the path of a DuckDB file or the URL of a job on a
            ClickHouse server. It is brought up to date at every coordination or stage and at the end, in the
            background; while it cannot be reached the job goes on, and tells. Not recorded: give it again to continue.
        snapshot: the path of a DuckDB file for others to read, replaced at the same moments by the job as it stands.
        family_lines: lines of three points on which simulations test the declared family (docs/family.md).
        family_sims: simulations at each of these points.
        trust_family: why the family need not be tested, in words that the certificate repeats; None tests it.

    Returns:
        The run; `run.bound` is the certificate.

    Raises:
        InvalidInputError: with everything that is wrong; nothing was written.
        ResumeError: if the job in the database cannot be continued as asked.
        ModelError: if the design fails; what was finished is saved.
        StoreError: if the database fails.
    """
    settings = {
        "quantity": quantity,
        "threshold": threshold,
        "model_seed": model_seed,
        "delta": delta,
        "init_sims": init_sims,
        "max_sims": max_sims,
        "max_target": max_target,
        "global_target": global_target,
        "step_size": step_size,
        "packet_size": packet_size,
        "tile_batch_size": tile_batch_size,
        "n_steps": n_steps,
        "timeout": timeout,
        "family_lines": family_lines,
        "family_sims": family_sims,
        "trust_family": trust_family,
    }
    return _start_or_continue(
        "validate", model, model_kwargs, grid, db, settings, overrides, accept_changed_model, method=method,
        job_id=job_id, backend=backend, callback=callback, progress=progress, backup=backup, snapshot=snapshot,
    )  # fmt: skip


def ada_calibrate(
    model: Model | type[Model],
    *,
    alpha: float = 0.025,
    confidence: float | None = None,
    grid: Grid | None = None,
    method: Method | None = None,
    db: Database = None,
    model_seed: int = 0,
    model_kwargs: Mapping[str, Any] | None = None,
    bootstrap_seed: int = 0,
    n_bootstrap: int = 50,
    init_sims: int = 8192,
    max_sims: int = 131072,
    grid_target: float = 0.001,
    bias_target: float = 0.001,
    std_target: float = 0.002,
    min_rank: int = 40,
    step_size: int = 1024,
    packet_size: int | None = None,
    tile_batch_size: int | None = None,
    n_steps: int = 100,
    timeout: float | None = None,
    job_id: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    accept_changed_model: bool = False,
    backup: BackupTo | None = None,
    snapshot: str | PathLike[str] | None = None,
    family_lines: int = 8,
    family_sims: int = 512,
    trust_family: str | None = None,
) -> Run:
    """Find the threshold that keeps the Type I Error of a design at or below alpha over a region.

    If the database holds a job it is continued: its settings come from the database.

    Args:
        model: a design, or its class.
        alpha: the level.
        confidence: between 0.5 and 1: with this confidence over the simulations, the threshold keeps the error at or
            below alpha everywhere in the region. None keeps the expected error there (docs/guarantee.md, section 5).
        grid: the region; needed for a new job.
        method: "classic" (the default of a new job) refines tiles and adds simulations where the bound is worst;
            certify the run to make it a certificate. "interpolated" plans from a pilot and certifies cells between
            simulated points, with far fewer simulations; a coarse grid is best. It has no init_sims, max_sims and
            step_size.
        db: a path of a DuckDB file, None for a database in memory, the URL of a job on a ClickHouse server
            (clickhouse://user@host:port/job_id?secure=true), or a store.
        model_seed: seed of the simulations.
        model_kwargs: constructor arguments, if `model` is a class.
        bootstrap_seed: seed of the bootstrap resamples.
        n_bootstrap: bootstrap resamples of either kind.
        init_sims: simulations of a tile of the initial grid.
        max_sims: the most simulations of a tile: init_sims times a power of two.
        grid_target: converged when the tile that sets the threshold loses at most this much of alpha to its size,
        bias_target: the threshold's bias, in units of error, is at most this,
        std_target: and its standard deviation at most this.
        min_rank: tiles whose threshold is one of this many smallest statistics are worked on first.
        step_size: tiles worked on in a step.
        packet_size: tiles simulated and written together; does not change the answer.
        tile_batch_size: tiles whose simulations are in memory together; does not change the answer.
        n_steps: the most steps of a zone, the initial grid included.
        timeout: seconds after which the job ends within a packet's length, also while it plans; continue it later.
        job_id: name of a new job.
        overrides: when continuing, settings to change from here on: n_steps, timeout, packet_size,
            tile_batch_size, and the targets.
        callback: called with a StepReport after every step.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default where the standard error is a terminal.
        accept_changed_model: continue although the design, or the class of a null hypothesis, is not the recorded one.
        backup: where to keep a copy of the job while it runs: the path of a DuckDB file or the URL of a job on a
            ClickHouse server. It is brought up to date at every coordination or stage and at the end, in the
            background; while it cannot be reached the job goes on, and tells. Not recorded: give it again to continue.
        snapshot: the path of a DuckDB file for others to read, replaced at the same moments by the job as it stands.
        family_lines: lines of three points on which simulations test the declared family (docs/family.md).
        family_sims: simulations at each of these points.
        trust_family: why the family need not be tested, in words that the certificate repeats; None tests it.

    Returns:
        The run; `run.threshold` is the certificate, in the model's own direction.

    Raises:
        InvalidInputError: with everything that is wrong; nothing was written.
        ResumeError: if the job in the database cannot be continued as asked.
        ModelError: if the design fails; what was finished is saved.
        StoreError: if the database fails.
    """
    settings = {
        "alpha": alpha,
        "confidence": confidence,
        "model_seed": model_seed,
        "bootstrap_seed": bootstrap_seed,
        "n_bootstrap": n_bootstrap,
        "init_sims": init_sims,
        "max_sims": max_sims,
        "grid_target": grid_target,
        "bias_target": bias_target,
        "std_target": std_target,
        "min_rank": min_rank,
        "step_size": step_size,
        "packet_size": packet_size,
        "tile_batch_size": tile_batch_size,
        "n_steps": n_steps,
        "timeout": timeout,
        "family_lines": family_lines,
        "family_sims": family_sims,
        "trust_family": trust_family,
    }
    return _start_or_continue(
        "calibrate", model, model_kwargs, grid, db, settings, overrides, accept_changed_model, method=method,
        job_id=job_id, backend=backend, callback=callback, progress=progress, backup=backup, snapshot=snapshot,
    )  # fmt: skip


def validate(
    model: Model | type[Model],
    *,
    threshold: float | None = None,
    grid: Grid,
    quantity: QuantityName = "error",
    n_sims: int = 8192,
    delta: float = 0.01,
    db: Database = None,
    model_seed: int = 0,
    model_kwargs: Mapping[str, Any] | None = None,
    packet_size: int | None = None,
    tile_batch_size: int | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    trust_family: str | None = None,
) -> Run:
    """Bound the Type I Error of a design on every tile of a fixed grid: one step of `ada_validate`, no adaptation.

    Args:
        model: a design, or its class.
        threshold: rejection threshold in the model's own direction; not for means.
        grid: the region.
        quantity: "error", or "power" or "mean" as for `ada_validate`.
        n_sims: simulations of every tile.
        delta: one minus the confidence of the bound at each parameter value.
        db: a path of a DuckDB file, None for a database in memory, the URL of a job on a ClickHouse server
            (clickhouse://user@host:port/job_id?secure=true), or a store.
        model_seed: seed of the simulations.
        model_kwargs: constructor arguments, if `model` is a class.
        packet_size: tiles simulated and written together; does not change the answer.
        tile_batch_size: tiles whose simulations are in memory together; does not change the answer.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default where the standard error is a terminal.
        trust_family: why the declared family need not be tested; None tests it.

    Returns:
        The run; `run.results()` has one row per tile. Raises as `ada_validate`.
    """
    return ada_validate(
        model,
        threshold=threshold,
        grid=grid,
        quantity=quantity,
        db=db,
        model_seed=model_seed,
        model_kwargs=model_kwargs,
        delta=delta,
        init_sims=n_sims,
        max_sims=n_sims,
        max_target=0.0,
        global_target=0.0,
        n_steps=1,
        packet_size=packet_size,
        tile_batch_size=tile_batch_size,
        backend=backend,
        progress=progress,
        trust_family=trust_family,
    )


def bootstrap_calibrate(
    model: Model | type[Model],
    *,
    grid: Grid,
    alpha: float = 0.025,
    confidence: float | None = None,
    n_sims: int = 8192,
    bootstrap_seed: int = 0,
    n_bootstrap: int = 50,
    db: Database = None,
    model_seed: int = 0,
    model_kwargs: Mapping[str, Any] | None = None,
    packet_size: int | None = None,
    tile_batch_size: int | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    trust_family: str | None = None,
) -> Run:
    """Calibrate on every tile of a fixed grid, with bootstrap resamples: one step of `ada_calibrate`.

    Args:
        model: a design, or its class.
        grid: the region.
        alpha: the level.
        confidence: between 0.5 and 1: with this confidence over the simulations, the threshold keeps the error at or
            below alpha everywhere in the region. None keeps the expected error there (docs/guarantee.md, section 5).
        n_sims: simulations of every tile.
        bootstrap_seed: seed of the bootstrap resamples.
        n_bootstrap: bootstrap resamples of either kind.
        db: a path of a DuckDB file, None for a database in memory, the URL of a job on a ClickHouse server
            (clickhouse://user@host:port/job_id?secure=true), or a store.
        model_seed: seed of the simulations.
        model_kwargs: constructor arguments, if `model` is a class.
        packet_size: tiles simulated and written together; does not change the answer.
        tile_batch_size: tiles whose simulations are in memory together; does not change the answer.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default where the standard error is a terminal.
        trust_family: why the declared family need not be tested; None tests it.

    Returns:
        The run; `run.results()` has one row per tile. Raises as `ada_calibrate`.
    """
    return ada_calibrate(
        model,
        alpha=alpha,
        confidence=confidence,
        grid=grid,
        db=db,
        model_seed=model_seed,
        model_kwargs=model_kwargs,
        bootstrap_seed=bootstrap_seed,
        n_bootstrap=n_bootstrap,
        init_sims=n_sims,
        max_sims=n_sims,
        grid_target=0.0,
        bias_target=0.0,
        std_target=0.0,
        n_steps=1,
        packet_size=packet_size,
        tile_batch_size=tile_batch_size,
        backend=backend,
        progress=progress,
        trust_family=trust_family,
    )


def calibrate(
    model: Model | type[Model],
    *,
    grid: Grid,
    alpha: float = 0.025,
    confidence: float | None = None,
    n_sims: int = 8192,
    db: Database = None,
    model_seed: int = 0,
    model_kwargs: Mapping[str, Any] | None = None,
    packet_size: int | None = None,
    tile_batch_size: int | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    trust_family: str | None = None,
) -> Run:
    """Calibrate on every tile of a fixed grid, without resamples. Arguments as for `bootstrap_calibrate`."""
    return bootstrap_calibrate(
        model,
        grid=grid,
        alpha=alpha,
        confidence=confidence,
        n_sims=n_sims,
        n_bootstrap=0,
        db=db,
        model_seed=model_seed,
        model_kwargs=model_kwargs,
        packet_size=packet_size,
        tile_batch_size=tile_batch_size,
        backend=backend,
        progress=progress,
        trust_family=trust_family,
    )


@usual_numpy_errors
def _start_or_continue(
    kind: Kind,
    model: Model | type[Model],
    model_kwargs: Mapping[str, Any] | None,
    grid: Grid | None,
    db: Database,
    settings: Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    accept_changed_model: bool,
    *,
    job_id: str | None,
    method: Method | None = None,
    backup: BackupTo | None = None,
    snapshot: str | PathLike[str] | None = None,
    **how: Any,
) -> Run:
    design = checked_design(model, model_kwargs)
    if how["backend"] is not None and not isinstance(how["backend"], Backend):
        raise InvalidInputError(f"backend must be a Backend, such as LocalBackend(); got {how['backend']!r}.")
    if how["backend"] is not None:
        how["backend"].check()
    if how["callback"] is not None and not callable(how["callback"]):
        raise InvalidInputError(f"callback must be a function of a StepReport; got {how['callback']!r}.")
    given = {name: value for name, value in settings.items() if name != "threshold" or value is not None}
    if kind == "validate" and design.decision_threshold is not None:
        given["threshold"] = _decision_threshold(design, given.get("threshold"))
    if given.get("quantity") == "mean":
        given["value_range"] = checked_range(design)
    created = is_new_file(db)
    store = open_store(db)
    try:
        how["kept"] = destinations(store, backup, snapshot)
        if store.exists and len(store.table("config")):
            return continue_job(
                kind, design, store, grid=grid, requested=given, overrides=overrides, job_id=job_id, method=method,
                accept_changed_model=accept_changed_model, **how,
            )  # fmt: skip
        problems = []
        if grid is None:
            problems.append(f"A new job needs grid=, and {store.location} holds no job to continue.")
        if kind == "validate" and "threshold" not in given and given["quantity"] != "mean":
            problems.append("A new validation needs threshold=, in the design's own direction.")
        if overrides:
            problems.append("overrides= change a job that is continued; give a new job its settings directly.")
        chosen = method or "classic"
        if (chosen, kind) not in SETTINGS:
            raise InvalidInputError([*problems, f"method must be 'classic' or 'interpolated'; got {method!r}."])
        given, foreign = _settings_of(SETTINGS[chosen, kind], SETTINGS["classic", kind], given)
        problems += [f"{name}= belongs to method='classic': numbers are planned otherwise here." for name in foreign]
        if problems or grid is None:
            raise InvalidInputError(problems)
        return start_job(kind, design, grid, store, given, method=chosen, job_id=job_id, **how)
    except BaseException:
        is_empty = created and not store.exists
        if store is not db:
            with suppress(StoreError):  # what went wrong first is what is told
                store.close()
        if is_empty:  # nothing was written: leave no file behind
            Path(store.location).unlink(missing_ok=True)
        raise


def _decision_threshold(design: Model, given: Any) -> Any:
    """Return the threshold of a design whose statistic is a decision, 0 or 1; refuse one that tells nothing apart."""
    if given is None:
        return design.decision_threshold
    if isinstance(given, (int, float)) and 0 <= given < 1:
        return given
    raise InvalidInputError(
        f"{type(design).__name__} says itself which outcomes reject, so it needs no threshold=; one that is given must "
        f"be in [0, 1), but is {given!r}. Leave it out."
    )


def _settings_of(
    own: type[Settings], every: type[Settings], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that a method has, and the names of those that it lacks but that were asked for."""
    fields = every.model_fields
    kept = {name: value for name, value in given.items() if name in own.model_fields}
    return kept, [name for name, value in given.items() if name not in kept and value != fields[name].default]


def checked_range(design: Model) -> list[float]:
    """Return the least and the largest value of a design's statistic, or refuse a design that states none.

    Raises:
        InvalidInputError: if they are not two finite numbers, the lower one first, or too far from 0.
    """
    given, rule = design.value_range, "two finite numbers, the lower one first"
    try:
        lowest, highest = (float(end) for end in given or ())
        sound = -np.inf < lowest < highest < np.inf
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise InvalidInputError(
            f"quantity='mean' bounds the mean of {type(design).__name__}'s statistic, so its value_range must be "
            f"{rule}; got {given!r}."
        )
    inaccuracy = Mean(lowest, highest).inaccuracy
    if inaccuracy > _INACCURATE:
        raise InvalidInputError(
            f"The value_range of {type(design).__name__} is too narrow for numbers so far from 0: rescaling would cost "
            f"{inaccuracy:.1g} of it; got {given!r}. Subtract a constant from the statistic."
        )
    return [lowest, highest]


def checked_design(model: Model | type[Model], arguments: Mapping[str, Any] | None = None) -> Model:
    """Return a design, built if it is a class.

    Raises:
        InvalidInputError: if it is no design, or lacks or misstates what every design states.
    """
    if isinstance(model, type) and issubclass(model, Model):
        model = model(**(arguments or {}))
    elif not isinstance(model, Model):
        raise InvalidInputError(f"model must be an adagrid.Model or a subclass of it; got {model!r}.")
    elif arguments:
        raise InvalidInputError("model_kwargs= belong to a class; the design given is already built.")
    name, problems = type(model).__name__, []
    family = getattr(model, "family", None)
    if not isinstance(family, Family):
        problems.append(f"{name}.family must be a Family, such as Normal() or Binomial(n=20); got {family!r}.")
    allowed_values = {"reject_when": get_args(RejectWhen), "precision": ("single", "double")}
    for attribute, allowed in allowed_values.items():
        value = getattr(model, attribute, None)
        if value not in allowed:
            problems.append(f"{name}.{attribute} must be one of {allowed}; got {value!r}.")
    problems += _wrong_form(model)
    if problems:
        raise InvalidInputError(problems)
    return model


def _wrong_form(design: Model) -> list[str]:
    """Return a sentence if the statistic of a design takes the arguments of the other form, or other ones."""
    takes = ("data", "null_truth") if isinstance(design, Design) else ("draw", "theta", "null_truth")
    try:
        signature = inspect.signature(design.statistic)
    except ValueError:  # functions that do not tell, such as those of extension modules
        return []
    with suppress(TypeError):
        signature.bind(*takes)
        return []
    return [
        f"{type(design).__name__}.statistic must take ({', '.join(takes)}), but takes {signature}. The statistic of an "
        "adagrid.Design takes (data, null_truth), that of any other adagrid.Model (draw, theta, null_truth)."
    ]
