"""The request to simulate points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from adagrid._typing import Array, IntArray
from adagrid.engine import Simulator
from adagrid.grid.points import Points
from adagrid.methods.cells.algorithm import CellAlgorithm, RoundKind
from adagrid.runtime.requests import RowsRequest


@final
@dataclass(frozen=True)
class PointsRequest(RowsRequest[CellAlgorithm]):
    """Points of a round to simulate, all of one seed stream.

    Args:
        points: the points.
        kind: what the round is for.
    """

    points: Points
    kind: RoundKind

    @property
    @override
    def subjects(self) -> Points:
        return self.points

    @override
    def take(self, rows: IntArray) -> PointsRequest:
        return PointsRequest(self.points.take(rows), self.kind)

    @override
    def simulate(self, algorithm: CellAlgorithm, simulator: Simulator) -> Mapping[str, Array]:
        return algorithm.simulate(simulator.of_stream(int(self.points.stream[0])), self.kind, self.points)
