"""Confidence bounds on the Type I Error, power or a mean, tile by tile, for a fixed threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.bounds import tilt_bound, tilt_lower_bound
from adagrid.grid import NullHypothesis
from adagrid.grid.grid import overcounted
from adagrid.methods._common import VALIDATION_STREAM, Convergence, batches, expected_count
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.algorithm import Choice, FractionBelow, StepWork, TileAlgorithm, tile_points
from adagrid.methods.tiles.frontier import Frontier, Layout
from adagrid.methods.tiles.policies import ClassicValidation, ValidationPolicy, ValidationState
from adagrid.methods.tiles.sorted_tiles import LARGEST, Columns
from adagrid.runtime.exact import ExactErrors
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator

_BATCH = 4096
# The columns from which the policy decides.
_JUDGED = ("grid_cost", "sim_cost", "tie_bound", "n_sims")


@final
class TileValidation(TileAlgorithm):
    """Adaptive validation.

    "Error" stands for the probability that is bounded (see `quantities`), of a power the Type II Error.

    total_cost = tie_bound - tie_estimate is the slack of a tile: grid_cost = tie_bound - tie_point_bound is
    due to its size, sim_cost = tie_point_bound - tie_estimate to its number of simulations. Converged when
    every active tile has total_cost <= global_target, and every active tile whose bound exceeds the largest
    estimate has total_cost <= max_target.

    Args:
        settings: the settings of the job; `threshold` is in the model's own direction.
        hypotheses: the grid's null hypotheses.
        policy: what becomes of chosen tiles.
        exact: what the design computes of its errors; None simulates them.
    """

    settings: Settings
    first_stream = VALIDATION_STREAM

    def __init__(
        self,
        settings: Settings,
        hypotheses: Sequence[NullHypothesis] = (),
        policy: ValidationPolicy | None = None,
        exact: ExactErrors | None = None,
    ) -> None:
        self.settings = settings
        self.goal, self.method = settings.validation, settings.method_as(Classic)
        self._exact = exact
        self._hypotheses = hypotheses
        self._policy = policy or ClassicValidation()

    @override
    def result_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        return {
            "rejections": np.int64,
            "tie_estimate": np.float64,
            "tie_point_lower": np.float64,
            "tie_point_bound": np.float64,
            "tie_lower": np.float64,
            "tie_bound": np.float64,
            "grid_cost": np.float64,
            "sim_cost": np.float64,
            "total_cost": np.float64,
        }

    @property
    @override
    def layout(self) -> Layout:
        return Layout(
            columns=("rejections", "tie_estimate", "total_cost", *_JUDGED),
            extremes=dict.fromkeys(("tie_estimate", "tie_bound", "total_cost"), LARGEST),
            order=self._order,
        )

    @override
    def simulate(self, simulator: Simulator, packet: StepWork) -> Mapping[str, Array]:
        tiles = packet.tiles
        points, displacements = tile_points(simulator, tiles)
        if self._exact is None:
            rejections = self._count(simulator, packet)
            estimate, lower, upper = self.goal.bounded.limits(rejections, tiles.n_sims, self.goal.delta)
        else:
            exact = self._exact.errors(points, tiles.null_truth, self.goal.rejection_limit)
            rejections = expected_count(exact, tiles.n_sims)
            estimate, lower, upper = self.goal.bounded.computed(exact)
        bound = tilt_bound(simulator.model.family, points, displacements, upper)
        known = ~overcounted(tiles.theta, tiles.radius, tiles.null_truth, self._hypotheses)
        return {
            "rejections": rejections,
            "tie_estimate": estimate,
            "tie_point_lower": lower,
            "tie_point_bound": upper,
            "tie_lower": tilt_lower_bound(simulator.model.family, points, displacements, lower * known),
            "tie_bound": bound,
            "grid_cost": bound - upper,
            "sim_cost": upper - estimate,
            "total_cost": bound - estimate,
        }

    def _count(self, simulator: Simulator, packet: StepWork) -> IntArray:
        """Count the rejections of tiles, with those that are known."""
        tiles, rejections = packet.tiles, packet.prior_rejections.copy()
        threshold = simulator.model.direction * self.goal.rejection_limit
        for rows in batches(len(tiles), self.settings.tile_batch_size or _BATCH):
            rejections[rows] += simulator.count(
                tiles.theta[rows], tiles.null_truth[rows], threshold, packet.prior_sims[rows], tiles.n_sims[rows],
                ties=self.goal.bounded.ties,
            )  # fmt: skip
        return rejections

    @override
    def convergence(self, frontier: Frontier, fraction_below: FractionBelow) -> Convergence:
        over_target = frontier.count(before=_over_target(frontier))
        return Convergence(
            converged=not over_target,
            figures={
                **self.goal.bounded.figures(
                    max(0.0, frontier.extremes["tie_bound"]),
                    _largest_estimate(frontier),
                    max(0.0, frontier.extremes["total_cost"]),
                ),
                "over target": over_target,
            },
        )

    @override
    def choose(self, frontier: Frontier) -> Choice:
        largest = _largest_estimate(frontier)

        def decide(tiles: Columns) -> tuple[BoolArray, BoolArray]:
            return self._policy.decide(ValidationState(**tiles, max_estimate=largest), self.goal, self.method)

        wanted = lambda tiles: np.logical_or(*decide(tiles))  # noqa: E731 - said once
        chosen = frontier.first(self.method.step_size, _JUDGED, wanted, before=_over_target(frontier))
        return Choice(chosen, *decide(frontier.take(_JUDGED, chosen)))

    @override
    def prior(self, parents: Mapping[str, Array], deepened: BoolArray) -> tuple[IntArray, IntArray]:
        """A deepened tile keeps its parent's count: rejections over [0, 2N) are those over [0, N) plus the rest."""
        return np.where(deepened, parents["n_sims"], 0), np.where(deepened, parents["rejections"], 0)

    def _order(self, tiles: Columns) -> tuple[Array, FloatArray]:
        """Tiles over the global target, the worst first; then those over the other, the largest bounds first."""
        group = 2 - (tiles["total_cost"] > self.goal.max_target).astype(np.uint8)
        over_global = tiles["total_cost"] > self.goal.global_target
        group[over_global] = 0
        return group, -np.where(over_global, tiles["total_cost"], tiles["tie_bound"])


def _over_target(frontier: Frontier) -> tuple[int, float]:
    """Return the priority before which tiles miss a target: of the second group, those that could be the worst."""
    return 1, -_largest_estimate(frontier)


def _largest_estimate(frontier: Frontier) -> float:
    return max(0.0, frontier.extremes["tie_estimate"])
