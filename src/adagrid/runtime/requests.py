"""Requests for simulations, and the responses to them. Both are values that can travel to workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray, IntArray
from adagrid.engine import Simulator
from adagrid.grid import Tiles
from adagrid.grid.points import Points
from adagrid.runtime.workers import WorkerInfo

A = TypeVar("A")
"""What a method makes to simulate and decide."""


class Request(ABC, Generic[A]):
    """A question about tiles or points that simulation answers."""

    @property
    @abstractmethod
    def subjects(self) -> Tiles | Points:
        """The tiles or points themselves."""

    @abstractmethod
    def simulate(self, algorithm: A, simulator: Simulator) -> Mapping[str, Array]:
        """Return the answer, by name."""


class RowsRequest(Request[A]):
    """Tiles or points to simulate; the answer is result columns, each of shape (subjects,)."""

    @abstractmethod
    def take(self, rows: IntArray) -> RowsRequest[A]:
        """Return the rows that an index selects: a packet."""


@final
@dataclass(frozen=True)
class FractionsRequest(Request[A]):
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
class StatisticsRequest(Request[Any]):
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
class Response:
    """What simulation answered.

    Args:
        content: the answer, by name.
        seconds: how long it took.
        member: who simulated.
    """

    content: Mapping[str, Array]
    seconds: float
    worker: WorkerInfo
