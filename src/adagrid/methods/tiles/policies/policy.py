"""The extension points for selection policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.methods.classic import Classic
from adagrid.settings.goals import Calibration, Validation


@final
@dataclass(frozen=True)
class ValidationState:
    """What a validation policy sees of the chosen tiles.

    Args:
        grid_cost: slack that the tile's size costs, shape (tiles,).
        sim_cost: slack that the number of simulations costs, shape (tiles,).
        tie_bound: bound over the tile, shape (tiles,).
        n_sims: simulations, shape (tiles,).
        max_estimate: the largest estimate of any active tile.
    """

    grid_cost: FloatArray
    sim_cost: FloatArray
    tie_bound: FloatArray
    n_sims: IntArray
    max_estimate: float


@final
@dataclass(frozen=True)
class CalibrationState:
    """What a calibration policy sees of the chosen tiles.

    Args:
        grid_cost: alpha minus the level at the centre, shape (tiles,).
        impossible: whether the rank is too low to be worth using, shape (tiles,).
        tilewise_mean: mean of the threshold over tilewise resamples, shape (tiles,).
        n_sims: simulations, shape (tiles,).
        least_mean: the smallest tilewise mean of any active tile.
    """

    grid_cost: FloatArray
    impossible: BoolArray
    tilewise_mean: FloatArray
    n_sims: IntArray
    least_mean: float


class ValidationPolicy(ABC):
    """Decides what becomes of the tiles that a step of a validation chose."""

    @abstractmethod
    def decide(self, state: ValidationState, goal: Validation, method: Classic) -> tuple[BoolArray, BoolArray]:
        """Return which tiles to refine and which to deepen; never both, and neither keeps a tile as it is."""


class CalibrationPolicy(ABC):
    """Decides what becomes of the tiles that a step of a calibration chose."""

    @abstractmethod
    def decide(self, state: CalibrationState, goal: Calibration, method: Classic) -> tuple[BoolArray, BoolArray]:
        """Return which tiles to refine and which to deepen; never both, and neither keeps a tile as it is."""
