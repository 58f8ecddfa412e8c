"""Runs jobs with many model seeds through the public entry points and compares them with exact errors."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, final
from unittest import mock

import numpy as np
import pandas as pd

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.estimation import clopper_pearson_upper
from adagrid.methods.cells.surrogate import Surrogates
from adagrid.methods.cells.validation import CellValidation
from adagrid.settings import goals
from adagrid.settings import quantities as quantities_module
from adagrid.testing import PandasStore
from studies.coverage.problems import PROBLEMS, Problem
from tests.support import flat

Method = Literal["interpolated", "classic"]
_TOLERANCE = 1e-9
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@final
@dataclass(frozen=True)
class Faults:
    """Deliberate mistakes, for showing that they are noticed.

    Args:
        delta_factor: limits are computed with the stated level times this.
        estimates: estimates stand in for limits.
        rank_factor: thresholds have the stated rank times this.
        repeats: repairs use the simulations of the first pass again.
        surrogate_factor: plans expect error rates times this: no mistake of a certificate, only a waste.
    """

    delta_factor: float = 1.0
    estimates: bool = False
    rank_factor: float = 1.0
    repeats: bool = False
    surrogate_factor: float = 1.0

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the mistakes in interpolated jobs."""

        def limit(rejections: Any, n_sims: Any, level: Any) -> Any:
            if self.estimates:
                return np.asarray(rejections) / n_sims
            return clopper_pearson_upper(rejections, n_sims, np.minimum(np.asarray(level) * self.delta_factor, 0.99))

        stated = goals.Calibration.rank

        def rank(settings: goals.Calibration, *of: Any) -> Any:
            return (stated(settings, *of) * self.rank_factor).astype(np.int64)

        expected = Surrogates.rates

        def rates(surrogates: Surrogates, *where: Any) -> Any:
            return np.clip(expected(surrogates, *where) * self.surrogate_factor, 1e-7, 0.99)

        of_stream, first_pass = Simulator.of_stream, CellValidation.first_stream + 1

        def stream(simulator: Simulator, number: int) -> Simulator:
            return of_stream(simulator, min(number, first_pass) if self.repeats else number)

        if self == Faults():
            yield
            return
        with (
            mock.patch.object(quantities_module, "clopper_pearson_upper", limit),
            mock.patch.object(goals.Calibration, "rank", rank),
            mock.patch.object(Simulator, "of_stream", stream),
            mock.patch.object(Surrogates, "rates", rates),
        ):
            yield


NO_FAULTS = Faults()


@final
@dataclass(frozen=True)
class Limits:
    """Upper limits at simulated points.

    Args:
        count: how many there are.
        failed: how many are below the exact errors there.
        allowed: the sum of their levels: how many may be expected to be.
        surplus: the sum of (rejections - their expectation) / their standard deviation, by the exact errors.
    """

    count: int
    failed: int
    allowed: float
    surplus: float


@final
@dataclass(frozen=True)
class Validation:
    """What a validation claims, and whether it is true.

    Args:
        least: the least bound that holds at each of the problem's values, shape (values,).
        largest: the largest.
        first: the limits of the first pass.
        repairs: the limits of all further passes.
        n_sims: simulations of all passes.
    """

    least: np.ndarray
    largest: np.ndarray
    first: Limits
    repairs: Limits
    n_sims: int


@final
@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Args:
        threshold: in the model's own direction.
        errors: its exact errors at the problem's values, shape (values,).
        largest: its largest exact error over the region.
        n_sims: simulations of the certificate.
    """

    threshold: float
    errors: np.ndarray
    largest: float
    n_sims: int


def validation_job(problem: Problem, method: Method, delta: float, seed: int) -> ada.Run:
    """Run one validation to its certificate."""
    arguments: dict[str, Any] = problem.settings | {"delta": delta, "model_seed": seed, "db": PandasStore()}
    if method == "classic":
        arguments |= {"init_sims": 512, "max_sims": 8192}
    run = flat.ada_validate(
        problem.model, threshold=problem.threshold, grid=problem.grid, method=method, progress=False, **arguments
    )
    return run.certify() if method == "classic" else run


def calibration_job(
    problem: Problem, method: Method, alpha: float, seed: int, confidence: float | None = None
) -> ada.Run:
    """Run one calibration to its certificate."""
    arguments: dict[str, Any] = problem.calibration | {"alpha": alpha, "confidence": confidence}
    arguments |= {"model_seed": seed, "db": PandasStore()}
    if method == "classic":
        arguments |= {"init_sims": 1024, "max_sims": 8192}
    run = flat.ada_calibrate(problem.model, grid=problem.grid, method=method, progress=False, **arguments)
    return run.certify() if method == "classic" else run


def judged_validation(problem: Problem, run: ada.Run) -> Validation:
    """Compare a validation with the truth."""
    assert run.guarantee == "certified"
    cells = run.results()
    truth = _columns(cells, "null_truth").astype(bool)
    bounds = cells["tie_bound"].to_numpy()
    held = []
    for value in problem.judged:
        own = (truth == problem.null_truth(value)).all(axis=1) & containing(run, np.array(value))
        assert own.any(), f"no cell contains {value}"
        held.append((bounds[own].min(), bounds[own].max()))
    least, largest = np.array(held).T
    points = run.table("vertices") if "point0" in cells else cells.assign(level=run.settings.validation.delta, stream=0)
    exact = problem.error(_columns(points, "theta"), _columns(points, "null_truth").astype(bool), problem.threshold)
    failed, level = (points["tie_point_bound"] < exact).to_numpy(), points["level"].to_numpy()
    sims = points["n_sims"].to_numpy()
    surplus = ((points["rejections"] - sims * exact) / np.sqrt(sims * exact * (1 - exact))).to_numpy()
    fresh = (points["stream"] == points["stream"].min()).to_numpy()
    parts = [
        Limits(int(own.sum()), int(failed[own].sum()), float(level[own].sum()), float(surplus[own].sum()))
        for own in (fresh, ~fresh)
    ]
    return Validation(least, largest, *parts, n_sims=int(points["n_sims"].sum()))


def judged_calibration(problem: Problem, run: ada.Run) -> Calibration:
    """Compare a calibration with the truth."""
    assert run.guarantee == "certified"
    errors = np.array([problem.truth(value, run.threshold) for value in problem.judged])
    points = run.table("vertices") if run.record.method.name == "interpolated" else run.results()
    return Calibration(run.threshold, errors, problem.largest(run.threshold), int(points["n_sims"].sum()))


def containing(run: ada.Run, value: np.ndarray) -> np.ndarray:
    """Return which cells (or tiles) in force contain a parameter value, faces included."""
    cells = run.results()
    if "point0" not in cells:
        return (np.abs(_columns(cells, "theta") - value) <= _columns(cells, "radius") + _TOLERANCE).all(axis=1)
    points = run.table("vertices").set_index("id")
    names = [f"point{i}" for i in range(len(value) + 1)]
    theta = points[[f"theta{i}" for i in range(len(value))]]
    vertices = np.stack([theta.loc[cells[name]].to_numpy() for name in names], axis=1)
    edges = (vertices[:, 1:] - vertices[:, :1]).transpose(0, 2, 1)
    weights = np.linalg.solve(edges, (value - vertices[:, 0])[:, :, None])[:, :, 0]
    return (weights >= -_TOLERANCE).all(axis=1) & (weights.sum(axis=1) <= 1 + _TOLERANCE)


def _columns(frame: pd.DataFrame, name: str) -> np.ndarray:
    columns = [column for column in frame if column.removeprefix(name).isdigit() and column.startswith(name)]
    return frame[columns].to_numpy()


def validations(name: str, method: Method, delta: float, seeds: Sequence[int], faults: Faults) -> list[Validation]:
    """Validate a problem once per seed."""
    problem = PROBLEMS[name]
    with faults.made():
        return [judged_validation(problem, validation_job(problem, method, delta, seed)) for seed in seeds]


def calibrations(
    name: str, method: Method, alpha: float, confidence: float | None, seeds: Sequence[int], faults: Faults
) -> list[Calibration]:
    """Calibrate a problem once per seed."""
    problem = PROBLEMS[name]
    with faults.made():
        return [
            judged_calibration(problem, calibration_job(problem, method, alpha, seed, confidence)) for seed in seeds
        ]


@final
class Workers:
    """Processes among which seeds are divided: one per core, each with one thread for linear algebra."""

    def __init__(self) -> None:
        self.count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._threads = mock.patch.dict(os.environ, dict.fromkeys(_THREADS, "1"))
        self._pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"))

    def __enter__(self) -> Workers:
        self._threads.start()  # processes inherit it; they start with the first tasks
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._threads.stop()

    def run(self, task: Callable[..., list[Any]], *arguments: Any, seeds: range, faults: Faults = NO_FAULTS) -> Any:
        """Run a task for all seeds, in slices, and return what it gives for each, in order."""
        size = max(1, math.ceil(len(seeds) / (4 * self.count)))
        slices = [seeds[start : start + size] for start in range(0, len(seeds), size)]
        futures = [self._pool.submit(task, *arguments, part, faults) for part in slices]
        return [result for future in futures for result in future.result()]
