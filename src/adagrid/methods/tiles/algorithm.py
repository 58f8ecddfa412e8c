"""The interface of the classic method's algorithms. They see neither a database nor a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.grid import Tiles
from adagrid.methods._common import Convergence
from adagrid.methods.tiles.frontier import Frontier, Layout
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator


@final
@dataclass(frozen=True)
class StepWork:
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
    def fresh(tiles: Tiles) -> StepWork:
        """Return the work on tiles that have no simulations yet."""
        return StepWork(tiles, np.zeros(len(tiles), np.int64), np.zeros(len(tiles), np.int64))

    def __len__(self) -> int:
        return len(self.tiles)

    def take(self, index: Array | slice) -> StepWork:
        """Return the rows that an index selects."""
        return StepWork(self.tiles.take(index), self.prior_sims[index], self.prior_rejections[index])


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


FractionBelow: TypeAlias = Callable[[int, FloatArray], FloatArray]
"""Returns, for a position in the frontier, the fractions of that tile's statistics strictly below given values."""


class TileAlgorithm(ABC):
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
    def simulate(self, simulator: Simulator, packet: StepWork) -> Mapping[str, Array]:
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


def tile_points(simulator: Simulator, tiles: Tiles) -> tuple[FloatArray, FloatArray]:
    """Return the points that are simulated for tiles, and the displacements of the tiles' vertices from them.

    The points are the centres as the model's precision holds them; the displacements make up for the rounding.
    """
    points = simulator.represented(tiles.theta)
    return points, tiles.displacements(points)
