"""The request to simulate tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from adagrid._typing import Array, IntArray
from adagrid.engine import Simulator
from adagrid.grid import Tiles
from adagrid.methods.tiles.algorithm import StepWork, TileAlgorithm
from adagrid.runtime.requests import RowsRequest


@final
@dataclass(frozen=True)
class TilesRequest(RowsRequest[TileAlgorithm]):
    """Tiles to simulate.

    Args:
        packet: the tiles, with what is already known of them.
        stream: number of the seed stream whose simulations are used; None for those of a search.
    """

    packet: StepWork
    stream: int | None = None

    @property
    @override
    def subjects(self) -> Tiles:
        return self.packet.tiles

    @override
    def take(self, rows: IntArray) -> TilesRequest:
        return TilesRequest(self.packet.take(rows), self.stream)

    @override
    def simulate(self, algorithm: TileAlgorithm, simulator: Simulator) -> Mapping[str, Array]:
        return algorithm.simulate(simulator if self.stream is None else simulator.of_stream(self.stream), self.packet)
