"""Simulates: what is asked of a job's design is a value, and so is what answers. Both can travel."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import numpy as np
from typing_extensions import override

from adagrid._numpy_settings import usual_numpy_errors
from adagrid._typing import Array, FloatArray, IntArray
from adagrid.algorithms import (
    AdaCalibrate,
    AdaValidate,
    Algorithm,
    CalibrateSettings,
    InterpolatedCalibrateSettings,
    InterpolatedCalibration,
    InterpolatedValidateSettings,
    InterpolatedValidation,
    Packet,
    StagedAlgorithm,
    ValidateSettings,
)
from adagrid.algorithms.exact import ExactErrors
from adagrid.algorithms.interpolated.base import StageKind
from adagrid.engine import Simulator, StatisticError
from adagrid.errors import ModelError
from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.points import Points
from adagrid.jobs.crew import Crew, Member
from adagrid.jobs.designs import SentDesign
from adagrid.jobs.record import JobRecord
from adagrid.models import Model

A = TypeVar("A", Algorithm, StagedAlgorithm)


class Asked(ABC, Generic[A]):
    """A question about tiles or points that simulation answers."""

    @property
    @abstractmethod
    def subjects(self) -> Tiles | Points:
        """The tiles or points themselves."""

    @abstractmethod
    def simulate(self, algorithm: A, simulator: Simulator) -> Mapping[str, Array]:
        """Return the answer, by name."""


class AskedRows(Asked[A]):
    """Tiles or points to simulate; the answer is result columns, each of shape (subjects,)."""

    @abstractmethod
    def take(self, rows: IntArray) -> AskedRows[A]:
        """Return the rows that an index selects: a packet."""


@final
@dataclass(frozen=True)
class AskedTiles(AskedRows[Algorithm]):
    """Tiles to simulate.

    Args:
        packet: the tiles, with what is already known of them.
        stream: number of the seed stream whose simulations are used; None for those of a search.
    """

    packet: Packet
    stream: int | None = None

    @property
    @override
    def subjects(self) -> Tiles:
        return self.packet.tiles

    @override
    def take(self, rows: IntArray) -> AskedTiles:
        return AskedTiles(self.packet.take(rows), self.stream)

    @override
    def simulate(self, algorithm: Algorithm, simulator: Simulator) -> Mapping[str, Array]:
        return algorithm.simulate(simulator if self.stream is None else simulator.of_stream(self.stream), self.packet)


@final
@dataclass(frozen=True)
class AskedPoints(AskedRows[StagedAlgorithm]):
    """Points of a stage to simulate, all of one seed stream.

    Args:
        points: the points.
        kind: what the stage is for.
    """

    points: Points
    kind: StageKind

    @property
    @override
    def subjects(self) -> Points:
        return self.points

    @override
    def take(self, rows: IntArray) -> AskedPoints:
        return AskedPoints(self.points.take(rows), self.kind)

    @override
    def simulate(self, algorithm: StagedAlgorithm, simulator: Simulator) -> Mapping[str, Array]:
        return algorithm.simulate(simulator.of_stream(int(self.points.stream[0])), self.kind, self.points)


@final
@dataclass(frozen=True)
class AskedFractions(Asked[A]):
    """How many of one tile's or point's statistics are strictly below some of its smallest.

    Args:
        subject: the tile or point.
        begin: first simulation.
        rank: the values are at most the rank-th smallest statistic, unless resampling shifts them up.
        values: shape (values,). The answer, `below`, is the fractions of statistics below each.
        stream: number of the seed stream whose simulations are meant; None for those of a search.
    """

    subject: Tiles | Points
    begin: int
    rank: int
    values: FloatArray
    stream: int | None = None

    @property
    @override
    def subjects(self) -> Tiles | Points:
        return self.subject

    @override
    def simulate(self, algorithm: A, simulator: Simulator) -> Mapping[str, Array]:
        simulator = simulator if self.stream is None else simulator.of_stream(self.stream)
        theta, null_truth, n_sims = self.subject.theta, self.subject.null_truth, int(self.subject.n_sims[0])
        smallest = simulator.smallest(theta, null_truth, n_sims, min(n_sims, 2 * self.rank + 64), self.begin)[0]
        return {"below": np.searchsorted(smallest, self.values.astype(smallest.dtype), side="left") / n_sims}


@final
@dataclass(frozen=True)
class AskedStatistics(Asked[Any]):
    """All statistics of points, in the order of the simulations; the answer is `statistics`, shape (points, sims).

    Args:
        points: the points, all of one seed stream and with the same number of simulations.
    """

    points: Points

    @property
    @override
    def subjects(self) -> Points:
        return self.points

    @override
    def simulate(self, algorithm: Any, simulator: Simulator) -> Mapping[str, Array]:
        points = self.points
        stream = simulator.of_stream(int(points.stream[0]))
        return {"statistics": stream.statistics(points.theta, points.null_truth, int(points.n_sims[0]), points.begin)}


@final
@dataclass(frozen=True)
class Answer:
    """What simulation answered.

    Args:
        content: the answer, by name.
        seconds: how long it took.
        member: who simulated.
    """

    content: Mapping[str, Array]
    seconds: float
    member: Member


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
    crew: Crew

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        sent = SentDesign.of(self.simulator.model, self.hypotheses, self.simulator.fingerprint)
        return _received, (self.record, sent, self.simulator.n_nulls, self.tiles, self.crew)

    @usual_numpy_errors
    def __call__(self, asked: Asked[A]) -> Answer:
        """Answer one question, such as a packet.

        Raises:
            BackendError: if this worker may not work for the job.
            ModelError: naming the tile or point, if the design fails.
        """
        member = self.crew.join()
        began = time.perf_counter()
        try:
            content = asked.simulate(self.algorithm, self.simulator)
        except StatisticError as error:
            subjects = asked.subjects
            here = (subjects.theta == error.theta).all(axis=1) & (subjects.null_truth == error.null_truth).all(axis=1)
            name = type(subjects).__name__.removesuffix("s")
            raise ModelError(f"{name} {subjects.id[here][0]}: {error} Everything finished before is saved.") from error
        return Answer(content, time.perf_counter() - began, member)


def algorithm_of(
    record: JobRecord, model: Model, tiles: Tiles | None, hypotheses: tuple[NullHypothesis, ...]
) -> Algorithm | StagedAlgorithm:
    """Return a job's algorithm; that of an interpolated job knows the grid, in an order that is always the same."""
    if tiles is None:
        return classic_algorithm(record, model, hypotheses)
    settings, tiles = record.checked_settings(), tiles.take(np.argsort(tiles.id))
    exact = _exact(record, model)
    if isinstance(settings, InterpolatedValidateSettings):
        return InterpolatedValidation(settings, model.family, tiles, hypotheses, exact)
    assert isinstance(settings, InterpolatedCalibrateSettings)  # noqa: S101 - the only other kind
    return InterpolatedCalibration(settings, model.family, tiles, hypotheses, exact, model.direction)


def classic_algorithm(record: JobRecord, model: Model, hypotheses: Sequence[NullHypothesis]) -> Algorithm:
    """Return the algorithm of a classic job with the null hypotheses of its grid."""
    settings, exact = record.checked_settings(), _exact(record, model)
    if isinstance(settings, ValidateSettings):
        return AdaValidate(settings, hypotheses, exact=exact)
    assert isinstance(settings, CalibrateSettings)  # noqa: S101 - the only other kind
    return AdaCalibrate(settings, exact=exact)


def _exact(record: JobRecord, model: Model) -> ExactErrors | None:
    """Return what a design computes of a job's errors; None if they are simulated."""
    return ExactErrors(model) if record.computed else None


def _received(record: JobRecord, sent: SentDesign, n_nulls: int, tiles: Tiles | None, crew: Crew) -> Work[Any]:
    """Return what answers in this process, with compiled calls of the shape of those of the process that led."""
    value_range = record.checked_settings().rounded_range
    simulator, hypotheses = sent.received(int(record.settings["model_seed"]), n_nulls, record.shape, value_range)
    return Work(record, algorithm_of(record, simulator.model, tiles, hypotheses), simulator, tiles, hypotheses, crew)
