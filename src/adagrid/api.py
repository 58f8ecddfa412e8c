"""The entry points: validate and calibrate, with and without adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from adagrid.backends import Backend
from adagrid.grid import Grid
from adagrid.launch.arguments import explain_misplaced
from adagrid.launch.launch import Database, launch
from adagrid.methods.classic import Classic
from adagrid.models import Model
from adagrid.results.run import Run
from adagrid.settings.method import Method
from adagrid.settings.quantities import QuantityName
from adagrid.settings.run_options import RunOptions

MethodName = Literal["classic", "interpolated"]


@explain_misplaced
def ada_validate(
    model: Model | type[Model],
    *,
    threshold: float | None = None,
    grid: Grid | None = None,
    quantity: QuantityName = "error",
    delta: float = 0.01,
    max_target: float = 0.002,
    global_target: float = 0.005,
    method: Method | MethodName | None = None,
    db: Database = None,
    model_seed: int = 0,
    timeout: float | None = None,
    trust_family: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    options: RunOptions | None = None,
) -> Run:
    """Bound a design's Type I Error over a region.

    Simulations go where the bound is worst. With `quantity="power"` the run bounds the power from below, over a region
    of the alternative (a grid with `alternatives=`, or without hypotheses). With `quantity="mean"` it bounds the mean
    of the statistic, such as an estimate or a sample size. The design then states the least and the largest value of
    the statistic in `value_range`. Every quantity has lower and upper bounds (`run.results()`, `run.bounds`). The next
    simulations depend on the upper bound, or for power on the lower bound.

    If the database holds a job, the job is continued with its own settings.

    Args:
        model: a design, or its class.
        threshold: rejection threshold in the design's own direction; needed for a new job, except with
            `quantity="mean"`.
        grid: the region; needed for a new job.
        quantity: "error", "power" or "mean".
        delta: one minus the confidence of the bound at each parameter value.
        max_target: the largest slack, at convergence, of tiles or cells that could hold the worst error.
        global_target: the largest slack, at convergence, of all other tiles or cells.
        method: how the region is certified. `ada.Interpolated()`, the default of a new job, plans from a pilot and
            certifies cells between simulated points. `ada.Classic()` refines tiles; call `certify` on its run to get a
            certificate. The names "interpolated" and "classic" stand for the default settings.
        db: a path of a DuckDB file, None for a database in memory, the URL of a job on a ClickHouse server
            (clickhouse://user@host:port/job_id?secure=true), or a store.
        model_seed: seed of the simulations.
        timeout: seconds after which the job ends, within a packet's length, also while it plans. Continue it later.
        trust_family: the reason why the family need not be tested, which the certificate repeats; None tests it.
        overrides: settings to change when a job is continued: n_steps, timeout, packet_size, tile_batch_size, and the
            targets.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default if the standard error is a terminal.
        options: options that do not change the answer, such as a callback, a backup or the size of packets.

    Returns:
        The run; `run.bound` is the certificate.

    Raises:
        InvalidInputError: with everything that is wrong; nothing was written.
        ResumeError: if the job in the database cannot be continued with these arguments.
        ModelError: if the design fails; finished work is saved.
        StoreError: if the database fails.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=1, null_hypos=["x <= 0"])
        >>> run = ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid)
        >>> 0.025 < run.bound < 0.0275
        True
    """
    values = {
        "quantity": quantity,
        "threshold": threshold,
        "delta": delta,
        "max_target": max_target,
        "global_target": global_target,
        "model_seed": model_seed,
        "timeout": timeout,
        "trust_family": trust_family,
    }
    return launch(
        "validate", model, grid, db, values, method=method, overrides=overrides, options=options, backend=backend,
        progress=progress,
    )  # fmt: skip


@explain_misplaced
def ada_calibrate(
    model: Model | type[Model],
    *,
    alpha: float = 0.025,
    confidence: float | None = None,
    grid: Grid | None = None,
    grid_target: float = 0.001,
    bias_target: float = 0.001,
    std_target: float = 0.002,
    method: Method | MethodName | None = None,
    db: Database = None,
    model_seed: int = 0,
    timeout: float | None = None,
    trust_family: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    options: RunOptions | None = None,
) -> Run:
    """Find a threshold that controls the Type I Error.

    With this threshold, the error of the design is at most alpha over the whole region.

    If the database holds a job, the job is continued with its own settings.

    Args:
        model: a design, or its class.
        alpha: the level.
        confidence: between 0.5 and 1. With this confidence over the simulations, the error is at most alpha everywhere
            in the region. With None, the expected error is at most alpha (docs/guarantee.md, section 5).
        grid: the region; needed for a new job.
        grid_target: the largest part of alpha, at convergence, that the tile or cell which sets the threshold loses to
            its size.
        bias_target: the largest bias of the threshold at convergence, in units of error.
        std_target: the largest standard deviation of the threshold at convergence, in units of error.
        method: see `ada_validate`.
        db: see `ada_validate`.
        model_seed: seed of the simulations.
        timeout: see `ada_validate`.
        trust_family: see `ada_validate`.
        overrides: see `ada_validate`.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default if the standard error is a terminal.
        options: see `ada_validate`.

    Returns:
        The run; `run.threshold` is the certificate, in the design's own direction.

    Raises:
        InvalidInputError, ResumeError, ModelError, StoreError: see `ada_validate`.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=1, null_hypos=["x <= 0"])
        >>> run = ada.ada_calibrate(ada.ZTest(), grid=grid)
        >>> 1.95 < run.threshold < 2.0
        True
    """
    values = {
        "alpha": alpha,
        "confidence": confidence,
        "grid_target": grid_target,
        "bias_target": bias_target,
        "std_target": std_target,
        "model_seed": model_seed,
        "timeout": timeout,
        "trust_family": trust_family,
    }
    return launch(
        "calibrate", model, grid, db, values, method=method, overrides=overrides, options=options, backend=backend,
        progress=progress,
    )  # fmt: skip


@explain_misplaced
def validate(
    model: Model | type[Model],
    *,
    grid: Grid,
    threshold: float | None = None,
    quantity: QuantityName = "error",
    n_sims: int = 8192,
    delta: float = 0.01,
    db: Database = None,
    model_seed: int = 0,
    trust_family: str | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    options: RunOptions | None = None,
) -> Run:
    """Bound the Type I Error on a fixed grid.

    Every tile gets the same number of simulations, without adaptation.

    Args:
        model: a design, or its class.
        grid: the region.
        threshold: rejection threshold in the design's own direction; not for means.
        quantity: "error", "power" or "mean"; see `ada_validate`.
        n_sims: simulations of each tile.
        delta: one minus the confidence of the bound at each parameter value.
        db: see `ada_validate`.
        model_seed: seed of the simulations.
        trust_family: see `ada_validate`.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default if the standard error is a terminal.
        options: see `ada_validate`; `n_steps` has no effect, because there is one step.

    Returns:
        The run; `run.results()` has one row per tile.

    Raises:
        InvalidInputError, ResumeError, ModelError, StoreError: see `ada_validate`.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> len(ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024).results())
        2
    """
    return ada_validate(
        model,
        threshold=threshold,
        grid=grid,
        quantity=quantity,
        delta=delta,
        max_target=0.0,
        global_target=0.0,
        method=Classic(init_sims=n_sims, max_sims=n_sims),
        db=db,
        model_seed=model_seed,
        trust_family=trust_family,
        backend=backend,
        progress=progress,
        options=_one_step(options),
    )


@explain_misplaced
def bootstrap_calibrate(
    model: Model | type[Model],
    *,
    grid: Grid,
    alpha: float = 0.025,
    confidence: float | None = None,
    n_sims: int = 8192,
    n_bootstrap: int = 50,
    bootstrap_seed: int = 0,
    db: Database = None,
    model_seed: int = 0,
    trust_family: str | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    options: RunOptions | None = None,
) -> Run:
    """Calibrate a design on a fixed grid with bootstrap resamples.

    Args:
        model: a design, or its class.
        grid: the region.
        alpha: the level.
        confidence: see `ada_calibrate`.
        n_sims: simulations of each tile.
        n_bootstrap: number of bootstrap resamples of each kind.
        bootstrap_seed: seed of the bootstrap resamples.
        db: see `ada_validate`.
        model_seed: seed of the simulations.
        trust_family: see `ada_validate`.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default if the standard error is a terminal.
        options: see `ada_validate`; `n_steps` has no effect, because there is one step.

    Returns:
        The run; `run.results()` has one row per tile.

    Raises:
        InvalidInputError, ResumeError, ModelError, StoreError: see `ada_validate`.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> "bootstrap9" in ada.bootstrap_calibrate(ada.ZTest(), grid=grid, n_sims=1024, n_bootstrap=10).results()
        True
    """
    return ada_calibrate(
        model,
        alpha=alpha,
        confidence=confidence,
        grid=grid,
        grid_target=0.0,
        bias_target=0.0,
        std_target=0.0,
        method=Classic(init_sims=n_sims, max_sims=n_sims, n_bootstrap=n_bootstrap, bootstrap_seed=bootstrap_seed),
        db=db,
        model_seed=model_seed,
        trust_family=trust_family,
        backend=backend,
        progress=progress,
        options=_one_step(options),
    )


@explain_misplaced
def calibrate(
    model: Model | type[Model],
    *,
    grid: Grid,
    alpha: float = 0.025,
    confidence: float | None = None,
    n_sims: int = 8192,
    db: Database = None,
    model_seed: int = 0,
    trust_family: str | None = None,
    backend: Backend | None = None,
    progress: bool | None = None,
    options: RunOptions | None = None,
) -> Run:
    """Calibrate a design on a fixed grid.

    Every tile gets the same number of simulations, without adaptation or bootstrap resamples.

    Args:
        model: a design, or its class.
        grid: the region.
        alpha: the level.
        confidence: see `ada_calibrate`.
        n_sims: simulations of each tile.
        db: see `ada_validate`.
        model_seed: seed of the simulations.
        trust_family: see `ada_validate`.
        backend: where work runs; in this process by default.
        progress: whether to show progress; by default if the standard error is a terminal.
        options: see `ada_validate`; `n_steps` has no effect, because there is one step.

    Returns:
        The run; `run.results()` has one row per tile.

    Raises:
        InvalidInputError, ResumeError, ModelError, StoreError: see `ada_validate`.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.calibrate(ada.ZTest(), grid=grid, n_sims=1024).threshold > 1.8
        True
    """
    return bootstrap_calibrate(
        model,
        grid=grid,
        alpha=alpha,
        confidence=confidence,
        n_sims=n_sims,
        n_bootstrap=0,
        db=db,
        model_seed=model_seed,
        trust_family=trust_family,
        backend=backend,
        progress=progress,
        options=options,
    )


def _one_step(options: RunOptions | None) -> RunOptions:
    return replace(options or RunOptions(), n_steps=1)
