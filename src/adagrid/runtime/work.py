"""Answers requests for simulations, in the process that leads a job and on workers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Generic, final

import numpy as np
from typing_extensions import override

from adagrid._numpy_settings import usual_numpy_errors
from adagrid.engine import Simulator, StatisticError
from adagrid.errors import ModelError
from adagrid.grid import NullHypothesis, Tiles
from adagrid.models import Model
from adagrid.records import JobRecord
from adagrid.runtime.exact import ExactErrors
from adagrid.runtime.requests import A, Request, Response
from adagrid.runtime.sent_design import SentDesign
from adagrid.runtime.workers import WorkerPool
from adagrid.settings.method import Problem


@final
@dataclass(frozen=True)
class Work(Generic[A]):
    """Answers what is asked of a job. Compiled code stays where it is: another process builds its own.

    Args:
        record: what was written down about the job.
        algorithm: its algorithm: validation or calibration, with settings; it decides how the job is led.
        simulator: runs its design.
        tiles: the tiles of its grid, where the algorithm knows them.
        hypotheses: its null hypotheses.
        crew: those who work for it.
    """

    record: JobRecord
    algorithm: A
    simulator: Simulator
    tiles: Tiles | None
    hypotheses: tuple[NullHypothesis, ...]
    pool: WorkerPool

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        sent = SentDesign.of(self.simulator.model, self.hypotheses, self.simulator.fingerprint)
        return _received, (self.record, sent, self.simulator.n_nulls, self.tiles, self.pool)

    @usual_numpy_errors
    def __call__(self, request: Request[A]) -> Response:
        """Answer one question, such as a packet.

        Raises:
            BackendError: if this worker may not work for the job.
            ModelError: naming the tile or point, if the design fails.
        """
        worker = self.pool.join()
        began = time.perf_counter()
        try:
            content = request.simulate(self.algorithm, self.simulator)
        except StatisticError as error:
            subjects = request.subjects
            here = (subjects.theta == error.theta).all(axis=1) & (subjects.null_truth == error.null_truth).all(axis=1)
            name = type(subjects).__name__.removesuffix("s")
            raise ModelError(f"{name} {subjects.id[here][0]}: {error} Everything finished before is saved.") from error
        return Response(content, time.perf_counter() - began, worker)


def algorithm_of(record: JobRecord, model: Model, tiles: Tiles | None, hypotheses: tuple[NullHypothesis, ...]) -> Any:
    """Return what simulates and decides for a job. It knows the grid, if at all, in an order that is always the same.

    Args:
        record: what the job has recorded of itself.
        model: the design.
        tiles: the tiles of the grid; None if the method does not know them.
        hypotheses: the null hypotheses.
    """
    tiles = None if tiles is None else tiles.take(np.argsort(tiles.id))
    exact = ExactErrors(model) if record.computed else None
    return record.method.algorithm(Problem(record.settings, model, tiles, hypotheses, exact))


def _received(record: JobRecord, sent: SentDesign, n_nulls: int, tiles: Tiles | None, pool: WorkerPool) -> Work[Any]:
    """Return what answers in this process, with compiled calls of the shape of those of the process that led."""
    simulator, hypotheses = sent.received(
        record.settings.model_seed, n_nulls, record.shape, record.settings.value_range
    )
    return Work(record, algorithm_of(record, simulator.model, tiles, hypotheses), simulator, tiles, hypotheses, pool)
