"""The interface of interpolation: a state goes in, points to simulate and cells to certify come out. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.methods._common import Convergence
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator

# Relative amount by which bounds of cells rise and levels at their vertices fall: parameter values that lie between
# cells because coordinates were rounded differ from the nearest vertex or facet by less than it takes to change an
# error by this share (1e-10 of the region times a standard error's root-information, by the tilt bound).
ROUNDING_MARGIN = 1e-7
# Shares of delta that the first pass and the repairs take: together all of it.
SLICES = (0.9, 0.05, 0.025, 0.0125, 0.0125)

_MOST_PLACES = 2**62

RoundKind: TypeAlias = Literal["pilot", "pass"]


@final
@dataclass(frozen=True, eq=False)
class Simulated:
    """Simulated points.

    Args:
        points: the points.
        columns: what the simulations gave, by name, each of shape (points,).
    """

    points: Points
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, index: Array) -> Simulated:
        """Return the points that an index selects."""
        return Simulated(self.points.take(index), {name: value[index] for name, value in self.columns.items()})


@final
@dataclass(frozen=True)
class Round:
    """What is done next: points are simulated, and cells made of them are certified.

    Args:
        kind: "pilot" informs plans only, without points where errors are computed; "pass" certifies.
        points: new points to simulate.
        cells: new cells of a pass, whose vertices are these points and points of earlier passes; they replace the tiles
            or cells that they are part of.
    """

    kind: RoundKind
    points: Points
    cells: Cells | None = None


@final
@dataclass(frozen=True, eq=False)
class State:
    """All that decisions depend on.

    Args:
        rounds: the kinds of the rounds so far, all of them finished.
        pilot: the simulated points of pilots.
        vertices: the simulated points of passes.
        cells: the cells in force.
        certificate: what was certified of them, by name, each of shape (cells,).
    """

    rounds: Sequence[RoundKind]
    pilot: Simulated
    vertices: Simulated
    cells: Cells
    certificate: Mapping[str, Array]

    @property
    def passes(self) -> int:
        """Number of passes so far."""
        return sum(1 for kind in self.rounds if kind == "pass")

    @property
    def vertex(self) -> IntArray:
        """Positions in `vertices` of the cells' vertices, shape (cells, dim + 1)."""
        return positions(self.vertices.points.id, self.cells.point_id)

    def simplices(self) -> Simplices:
        """Return the cells in force as simplices; `part_of` is the cells' own ids."""
        return Simplices(self.vertices.points.theta[self.vertex], self.cells.null_truth, self.cells.id)


FractionBelow: TypeAlias = Callable[[int, FloatArray], FloatArray]
"""Returns, for the position of a simulated vertex, the fractions of its statistics strictly below given values."""


class CellAlgorithm(ABC):
    """Plan, check and certify a validation or calibration by interpolation.

    Deterministic in the settings and in what was simulated: `next_round` is a pure function of the state, so a plan
    that was lost in a kill is made again. Pilots use the seed stream `first_stream`, the p-th pass the p-th after it.
    """

    settings: Settings
    first_stream: ClassVar[int]
    """Not shared by calibrations and validations: a validation may check a calibrated threshold with the same seed."""

    @abstractmethod
    def pilot_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        """Return the columns that `simulate` adds to points of a pilot, given the type of the statistics."""

    @abstractmethod
    def vertex_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        """Return the columns that `simulate` adds to points of a pass."""

    @property
    @abstractmethod
    def certificate_columns(self) -> Mapping[str, type]:
        """Return the columns that `certify` adds to cells."""

    @abstractmethod
    def simulate(self, simulator: Simulator, kind: RoundKind, points: Points) -> Mapping[str, Array]:
        """Simulate points of one stream with that stream's simulator; result columns of shape (points,)."""

    @abstractmethod
    def certify(self, cells: Cells, vertices: Simulated) -> Mapping[str, Array]:
        """Return what the simulated vertices certify of cells, each column of shape (cells,)."""

    @abstractmethod
    def convergence(self, state: State, fraction_below: FractionBelow) -> Convergence:
        """Check the targets; never converged before the first pass, whose figures are only what pilots suggest."""

    @abstractmethod
    def next_round(self, state: State) -> Round | None:
        """Return what to do next, given that the targets are not met; None if nothing more can be done."""


def positions(known: IdArray, wanted: IdArray) -> IntArray:
    """Return the positions of wanted ids, of any shape, among known ones.

    Raises:
        KeyError: naming an id that is not known.
    """
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, wanted, sorter=order), max(len(known) - 1, 0))
    found = order[place] if len(known) else np.zeros(wanted.shape, np.int64)
    if wanted.size and (not len(known) or (known[found] != wanted).any()):
        raise KeyError(f"no point has the id {wanted[known[found] != wanted][0] if len(known) else wanted.flat[0]}")
    return found


def distinct_vertices(cells: Simplices) -> tuple[FloatArray, BoolArray, IntArray]:
    """Return the distinct vertices of cells: parameters, null configurations, and their positions per cell.

    A vertex on a null boundary counts once for every configuration of the cells around it.
    """
    n, n_vertices, dim = cells.vertices.shape
    theta = cells.vertices.reshape(-1, dim) + 0.0
    truth = np.repeat(_places(cells.null_truth.T, n), n_vertices)
    _, first, place = np.unique(_places((*theta.T, truth), len(theta)), return_index=True, return_inverse=True)
    return theta[first], cells.null_truth[first // n_vertices], place.reshape(n, n_vertices)


def _places(columns: Iterable[Array], n: int) -> IntArray:
    """Return numbers that order n rows as their columns do, the first column first, equal for equal rows.

    NumPy compares rows element by element, which takes ten times as long as sorting numbers.
    """
    place, count = np.zeros(n, np.int64), 1
    for column in columns:
        values, own = np.unique(column, return_inverse=True)
        if count * len(values) > _MOST_PLACES:
            distinct, place = np.unique(place, return_inverse=True)
            count = len(distinct)
        place, count = place * len(values) + own, count * len(values)
    return place


def configurations(null_truth: BoolArray) -> Iterator[tuple[BoolArray, IntArray]]:
    """Yield every null configuration that occurs, and the positions where it does."""
    packed = np.packbits(null_truth, axis=1)
    words = np.zeros((len(null_truth), -(-packed.shape[1] // 8) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    codes = words.view(np.uint64)
    # rows of one word are compared much faster than rows of truth values
    one = codes.shape[1] == 1
    _, first, place = np.unique(
        codes[:, 0] if one else codes, axis=None if one else 0, return_index=True, return_inverse=True
    )
    for number, row in enumerate(first):
        yield null_truth[row], np.flatnonzero(place.ravel() == number)
