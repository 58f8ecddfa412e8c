"""What a job asks of an algorithm. It asks and tells: no algorithm sees a database or a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.algorithms.frontier import Frontier, Layout
from adagrid.algorithms.settings import Settings
from adagrid.grid import Tiles
from adagrid.grid.columns import ColumnSet

if TYPE_CHECKING:
    from adagrid.engine import Simulator

# Seed streams for what is simulated afresh, the first of each kind of job; the search uses the model seed itself.
VALIDATION_STREAM, CALIBRATION_STREAM = 0, 1000


@final
@dataclass(frozen=True)
class Packet(ColumnSet):
    """Tiles to simulate, with what is already known of them.

    Args:
        tiles: the tiles.
        prior_sims: simulations that need not be run again because a parent's are the same, shape (tiles,).
        prior_rejections: rejections among them, shape (tiles,).
    """

    tiles: Tiles
    prior_sims: IntArray
    prior_rejections: IntArray

    @staticmethod
    def fresh(tiles: Tiles) -> Packet:
        """Return a packet of tiles of which nothing is known."""
        return Packet(tiles, np.zeros(len(tiles), np.int64), np.zeros(len(tiles), np.int64))


@final
@dataclass(frozen=True)
class Choice:
    """The tiles that a step works on, and what becomes of each.

    Args:
        chosen: positions in the frontier, in the order of work.
        refine: which of them are refined.
        deepen: which of them are deepened.
    """

    chosen: IntArray
    refine: BoolArray
    deepen: BoolArray


@final
@dataclass(frozen=True)
class Convergence:
    """Whether the targets are met, and how far away they are.

    Args:
        converged: whether all targets are met.
        figures: what the decision rests on, by name, for progress and reports.
    """

    converged: bool
    figures: Mapping[str, float]


FractionBelow: TypeAlias = Callable[[int, FloatArray], FloatArray]
"""Returns, for a position in the frontier, the fractions of that tile's statistics strictly below given values."""


class Algorithm(ABC):
    """Validation or calibration on a set of tiles.

    Everything is deterministic in the settings and the tiles. `simulate` runs wherever the simulator is; the
    rest is cheap and runs where the zone is led.

    Args:
        settings: the settings of the job.
    """

    settings: Settings
    first_stream: ClassVar[int]
    """The stream after it is what `certify` simulates."""

    @abstractmethod
    def result_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        """Return the columns that `simulate` adds to a tile, given the type of the statistics."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """What the frontier holds, and in which order tiles are worked on."""

    @abstractmethod
    def simulate(self, simulator: Simulator, packet: Packet) -> Mapping[str, Array]:
        """Simulate a packet and return its result columns, each of shape (tiles,)."""

    @abstractmethod
    def convergence(self, frontier: Frontier, fraction_below: FractionBelow) -> Convergence:
        """Check the targets on the active tiles of a zone, or of the whole job."""

    @abstractmethod
    def choose(self, frontier: Frontier) -> Choice:
        """Choose the tiles of the next step; an empty choice if the policy would leave all as they are."""

    def prior(self, parents: Mapping[str, Array], deepened: BoolArray) -> tuple[IntArray, IntArray]:
        """Return the simulations and rejections that children take over from their parents.

        Args:
            parents: columns of each child's parent: those of the layout.
            deepened: which children are their parents with more simulations.
        """
        del parents
        return np.zeros(len(deepened), np.int64), np.zeros(len(deepened), np.int64)


def batches(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of range(n), of at most `size` positions."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def tile_points(simulator: Simulator, tiles: Tiles) -> tuple[FloatArray, FloatArray]:
    """Return the points that are simulated for tiles, and the displacements of the tiles' vertices from them.

    The points are the centres as the model's precision holds them; the displacements make up for the rounding.
    """
    points = simulator.represented(tiles.theta)
    return points, tiles.displacements(points)


def expected_count(error: FloatArray, n_sims: IntArray) -> IntArray:
    """Return how many of n_sims simulations are expected to reject where the error is known and none is run."""
    return np.rint(error * n_sims).astype(np.int64)
