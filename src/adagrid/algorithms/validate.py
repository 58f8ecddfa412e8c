"""AdaValidate: an upper confidence bound on the Type I Error, tile by tile, for a fixed threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, IntArray
from adagrid.algorithms.base import (
    VALIDATION_STREAM,
    Algorithm,
    Choice,
    Convergence,
    FractionBelow,
    Packet,
    batches,
    tile_points,
)
from adagrid.algorithms.frontier import Frontier, first
from adagrid.algorithms.policies import ClassicValidation, ValidationPolicy, ValidationState
from adagrid.algorithms.settings import ValidateSettings
from adagrid.bounds import tilt_bound
from adagrid.engine import Simulator
from adagrid.estimation import clopper_pearson_upper

_BATCH = 4096


@final
class AdaValidate(Algorithm):
    """Adaptive validation.

    total_cost = tie_bound - tie_estimate is the slack of a tile: grid_cost = tie_bound - tie_point_bound is
    due to its size, sim_cost = tie_point_bound - tie_estimate to its number of simulations. Converged when
    every active tile has total_cost <= global_target, and every active tile whose bound exceeds the largest
    estimate has total_cost <= max_target.

    Args:
        settings: the settings; `threshold` is in the model's own direction.
        policy: what becomes of chosen tiles.
    """

    settings: ValidateSettings
    first_stream = VALIDATION_STREAM

    def __init__(self, settings: ValidateSettings, policy: ValidationPolicy | None = None) -> None:
        self.settings = settings
        self._policy = policy or ClassicValidation()

    @override
    def result_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        return {
            "rejections": np.int64,
            "tie_estimate": np.float64,
            "tie_point_bound": np.float64,
            "tie_bound": np.float64,
            "grid_cost": np.float64,
            "sim_cost": np.float64,
            "total_cost": np.float64,
        }

    @property
    @override
    def frontier_columns(self) -> tuple[str, ...]:
        return ("n_sims", "tie_estimate", "tie_bound", "grid_cost", "sim_cost", "total_cost")

    @override
    def simulate(self, simulator: Simulator, packet: Packet) -> Mapping[str, Array]:
        tiles = packet.tiles
        threshold = simulator.model.direction * self.settings.threshold
        rejections = packet.prior_rejections.copy()
        for rows in batches(len(tiles), self.settings.tile_batch_size or _BATCH):
            rejections[rows] += simulator.count(
                tiles.theta[rows], tiles.null_truth[rows], threshold, packet.prior_sims[rows], tiles.n_sims[rows]
            )
        points, displacements = tile_points(simulator, tiles)
        estimate = rejections / tiles.n_sims
        point_bound = clopper_pearson_upper(rejections, tiles.n_sims, self.settings.delta)
        bound = tilt_bound(simulator.model.family, points, displacements, point_bound)
        return {
            "rejections": rejections,
            "tie_estimate": estimate,
            "tie_point_bound": point_bound,
            "tie_bound": bound,
            "grid_cost": bound - point_bound,
            "sim_cost": point_bound - estimate,
            "total_cost": bound - estimate,
        }

    @override
    def convergence(self, frontier: Frontier, fraction_below: FractionBelow) -> Convergence:
        over_global, over_max = self._missed(frontier)
        return Convergence(
            converged=not (over_global | over_max).any(),
            figures={
                "bound": float(frontier["tie_bound"].max(initial=0.0)),
                "estimate": _largest_estimate(frontier),
                "slack": float(frontier["total_cost"].max(initial=0.0)),
                "over target": int((over_global | over_max).sum()),
            },
        )

    @override
    def choose(self, frontier: Frontier) -> Choice:
        over_global, over_max = self._missed(frontier)
        candidates = np.flatnonzero(frontier.eligible & (over_global | over_max))
        state = ValidationState(
            grid_cost=frontier["grid_cost"][candidates],
            sim_cost=frontier["sim_cost"][candidates],
            tie_bound=frontier["tie_bound"][candidates],
            n_sims=frontier["n_sims"][candidates],
            max_estimate=_largest_estimate(frontier),
        )
        refine, deepen = self._policy.decide(state, self.settings)
        size, urgent = self.settings.step_size, over_global[candidates]
        order = []
        for group, key in ((urgent, "total_cost"), (~urgent, "tie_bound")):
            some = np.flatnonzero(group & (refine | deepen))
            rows = candidates[some]
            order.append(some[first(-frontier[key][rows], frontier.id[rows], size)])
        chosen = np.concatenate(order)[:size]
        return Choice(candidates[chosen], refine[chosen], deepen[chosen])

    @override
    def prior(self, parents: Mapping[str, Array], deepened: BoolArray) -> tuple[IntArray, IntArray]:
        """A deepened tile keeps its parent's count: rejections over [0, 2N) are those over [0, N) plus the rest."""
        return np.where(deepened, parents["n_sims"], 0), np.where(deepened, parents["rejections"], 0)

    def _missed(self, frontier: Frontier) -> tuple[BoolArray, BoolArray]:
        """Return which tiles miss the global target, and which could hold the worst error and miss the other."""
        over_global = frontier["total_cost"] > self.settings.global_target
        could_be_worst = frontier["tie_bound"] > _largest_estimate(frontier)
        return over_global, could_be_worst & (frontier["total_cost"] > self.settings.max_target)


def _largest_estimate(frontier: Frontier) -> float:
    return float(frontier["tie_estimate"].max(initial=0.0))
