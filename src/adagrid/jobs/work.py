"""Simulates packets: what is asked of a job's design is a value, and so is what answers. Both can travel."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, IntArray
from adagrid.algorithms import Algorithm, Packet, StagedAlgorithm
from adagrid.algorithms.interpolated.base import StageKind
from adagrid.engine import Simulator, StatisticError
from adagrid.errors import ModelError
from adagrid.grid import HalfSpace, Tiles
from adagrid.grid.points import Points
from adagrid.jobs.record import JobRecord
from adagrid.models import Model

A = TypeVar("A", Algorithm, StagedAlgorithm)


class Asked(ABC, Generic[A]):
    """Tiles or points to simulate."""

    @property
    @abstractmethod
    def subjects(self) -> Tiles | Points:
        """The tiles or points themselves."""

    @abstractmethod
    def take(self, rows: IntArray) -> Asked[A]:
        """Return the rows that an index selects: a packet."""

    @abstractmethod
    def simulate(self, algorithm: A, simulator: Simulator) -> Mapping[str, Array]:
        """Return result columns, each of shape (subjects,)."""


@final
@dataclass(frozen=True)
class AskedTiles(Asked[Algorithm]):
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
class AskedPoints(Asked[StagedAlgorithm]):
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
class Work(Generic[A]):
    """Answers what is asked of a job. Compiled code stays where it is: another process builds its own.

    Args:
        record: what was written down about the job.
        algorithm: its algorithm.
        simulator: runs its design.
        tiles: the tiles of its grid, where the algorithm knows them.
        hypotheses: its null hypotheses.
    """

    record: JobRecord
    algorithm: A
    simulator: Simulator
    tiles: Tiles | None
    hypotheses: tuple[HalfSpace, ...]

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return _built, (self.record, self.simulator.model, self.simulator.n_nulls, self.tiles, self.hypotheses)

    def __call__(self, asked: Asked[A]) -> tuple[Mapping[str, Array], float]:
        """Simulate a packet.

        Returns:
            The result columns, and the seconds that it took.

        Raises:
            ModelError: naming the tile or point, if the design fails.
        """
        began = time.perf_counter()
        try:
            answer = asked.simulate(self.algorithm, self.simulator)
        except StatisticError as error:
            subjects = asked.subjects
            here = (subjects.theta == error.theta).all(axis=1) & (subjects.null_truth == error.null_truth).all(axis=1)
            name = type(subjects).__name__.removesuffix("s")
            raise ModelError(f"{name} {subjects.id[here][0]}: {error} Everything finished before is saved.") from error
        return answer, time.perf_counter() - began


def algorithm_of(
    record: JobRecord, model: Model, tiles: Tiles | None, hypotheses: tuple[HalfSpace, ...]
) -> Algorithm | StagedAlgorithm:
    """Return a job's algorithm; that of an interpolated job knows the grid, in an order that is always the same."""
    if tiles is None:
        return record.algorithm()
    return record.staged_algorithm(model.family, tiles.take(np.argsort(tiles.id)), hypotheses)


def _built(
    record: JobRecord, model: Model, n_nulls: int, tiles: Tiles | None, hypotheses: tuple[HalfSpace, ...]
) -> Work[Any]:
    """Return what answers in this process, with compiled calls of the shape of those of the process that led."""
    simulator = Simulator(model, record.settings["model_seed"], n_nulls, shape=record.shape)
    return Work(record, algorithm_of(record, model, tiles, hypotheses), simulator, tiles, hypotheses)
