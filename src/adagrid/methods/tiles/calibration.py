"""The threshold that keeps the Type I Error at or below alpha on every tile."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.bounds import inverse_tilt_bound
from adagrid.estimation import calibration_rank, first_order_statistics
from adagrid.grid import Tiles
from adagrid.methods._common import CALIBRATION_STREAM, Convergence, batches
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.algorithm import Choice, FractionBelow, StepWork, TileAlgorithm, tile_points
from adagrid.methods.tiles.frontier import Frontier, Layout
from adagrid.methods.tiles.policies import CalibrationPolicy, CalibrationState, ClassicCalibration
from adagrid.methods.tiles.sorted_tiles import LEAST, Columns
from adagrid.runtime.exact import ExactErrors
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator

_BATCH = 128
# The columns from which the policy decides.
_JUDGED = ("grid_cost", "impossible", "tilewise_mean", "n_sims")
# What expectation a rank stands for.
_RANKED = ("rank", "n_sims")
# Where the tiles that are not impossible begin in the order of work.
_POSSIBLE = (1, -np.inf)


@final
class TileCalibration(TileAlgorithm):
    """Adaptive calibration.

    At the centre of a tile the error must stay at alpha0, the inverted tilt bound of alpha, so that it stays at
    alpha on the whole tile. lambda_star is the floor((N + 1) alpha0)-th smallest statistic, with a confidence the one
    of `confident_rank`, and -inf at rank 0. The threshold is the least lambda_star of the active tiles. Statistics are
    turned so that small ones reject.

    Every tile also has lambda_star under bootstrap resamples of the simulations, the same for all tiles: the
    "bias" resamples are stored (columns bootstrap0..), of the "tilewise" resamples the mean and the minimum. With f(x)
    the fraction below x of the statistics of the tile that sets the threshold, and x_b the threshold under bias
    resample b, bias = f(threshold) - mean f(x_b), std = the standard deviation of f(x_b).

    Args:
        settings: the settings of the job.
        policy: what becomes of chosen tiles.
    """

    settings: Settings
    first_stream = CALIBRATION_STREAM

    def __init__(
        self,
        settings: Settings,
        policy: CalibrationPolicy | None = None,
        exact: ExactErrors | None = None,
    ) -> None:
        self.settings = settings
        self.goal, self.method = settings.calibration, settings.method_as(Classic)
        self._exact = exact
        self._policy = policy or ClassicCalibration()
        self._resamples = lru_cache(maxsize=32)(self._first_of_resamples)

    @property
    def _bootstrap_columns(self) -> list[str]:
        return [f"bootstrap{b}" for b in range(self.method.n_bootstrap)]

    @override
    def result_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        statistic = np.float32 if dtype.itemsize <= 4 else np.float64
        return {
            "alpha0": np.float64,
            "rank": np.int64,
            "lambda_star": np.float64,
            "grid_cost": np.float64,
            "impossible": np.uint8,
            "tilewise_mean": np.float64,
            "tilewise_min": np.float64,
            **dict.fromkeys(self._bootstrap_columns, statistic),
        }

    @property
    @override
    def layout(self) -> Layout:
        bootstrap = self._bootstrap_columns
        return Layout(
            columns=("rank", "lambda_star", *_JUDGED, "tilewise_min", *bootstrap),
            extremes=dict.fromkeys(("lambda_star", "tilewise_mean", *bootstrap), LEAST),
            order=_order,
        )

    @override
    def simulate(self, simulator: Simulator, packet: StepWork) -> Mapping[str, Array]:
        tiles, n_bootstrap = packet.tiles, self.method.n_bootstrap
        points, displacements = tile_points(simulator, tiles)
        alpha0 = inverse_tilt_bound(simulator.model.family, points, displacements, self.goal.alpha)
        rank = self.goal.rank(tiles.n_sims, alpha0)
        impossible = rank <= self.method.min_rank
        # column 0 is lambda_star, then the bias resamples, then the tilewise ones
        if self._exact is None:
            thresholds = self._thresholds(simulator, tiles, rank)
        else:  # no simulations, so that resampling them changes nothing and none are too few
            exact = self._exact.thresholds(points, tiles.null_truth, alpha0)
            thresholds = np.repeat(exact[:, None], 1 + 2 * n_bootstrap, axis=1)
            impossible[:] = False
        star, bias, tilewise = np.split(thresholds, [1, 1 + n_bootstrap], axis=1)
        tilewise = tilewise if n_bootstrap else star
        return {
            "alpha0": alpha0,
            "rank": rank,
            "lambda_star": star[:, 0],
            "grid_cost": self.goal.alpha - alpha0,
            "impossible": impossible.astype(np.uint8),
            "tilewise_mean": _mean(tilewise),
            "tilewise_min": tilewise.min(axis=1),
            **{name: bias[:, b] for b, name in enumerate(self._bootstrap_columns)},
        }

    def _thresholds(self, simulator: Simulator, tiles: Tiles, rank: IntArray) -> FloatArray:
        """Return the order statistics of tiles, and those of all resamples, shape (tiles, 1 + 2 n_bootstrap)."""
        thresholds = np.full((len(tiles), 1 + 2 * self.method.n_bootstrap), -np.inf)
        for n_sims in np.unique(tiles.n_sims):
            alike = np.flatnonzero((tiles.n_sims == n_sims) & (rank > 0))
            for part in batches(len(alike), self.settings.tile_batch_size or _BATCH):
                rows = alike[part]
                ranks = self._resamples(int(n_sims))[:, rank[rows] - 1]
                smallest = simulator.smallest(tiles.theta[rows], tiles.null_truth[rows], n_sims, ranks.max(axis=0) + 1)
                thresholds[rows] = np.take_along_axis(smallest, ranks.T, axis=1)
        return thresholds

    @override
    def convergence(self, frontier: Frontier, fraction_below: FractionBelow) -> Convergence:
        goal, threshold = self.goal, frontier.extremes["lambda_star"]
        impossible = frontier.count(before=_POSSIBLE)
        figures = {"threshold": threshold, "impossible": float(impossible)}
        if not len(frontier) or impossible or not self.method.n_bootstrap:
            return Convergence(False, figures)
        worst = frontier.holder("lambda_star")
        bootstrap = [frontier.extremes[name] for name in self._bootstrap_columns]
        below = fraction_below(worst, np.array([threshold, *bootstrap]))
        figures["bias"] = float(below[0] - below[1:].mean())
        figures["std"] = float(below[1:].std())
        figures["grid cost"] = float(frontier.take(["grid_cost"], np.array([worst]))["grid_cost"][0])
        if goal.confidence is not None and self._exact is None:
            rank, n_sims = (int(value[0]) for value in frontier.take(_RANKED, np.array([worst])).values())
            figures["confidence cost"] = goal.alpha - figures["grid cost"] - rank / (n_sims + 1)
        converged = (
            figures["bias"] < goal.bias_target
            and figures["std"] < goal.std_target
            and figures["grid cost"] < goal.grid_target
        )
        return Convergence(converged, figures)

    @override
    def choose(self, frontier: Frontier) -> Choice:
        least = frontier.extremes["tilewise_mean"]

        def decide(tiles: Columns) -> tuple[BoolArray, BoolArray]:
            state = CalibrationState(**{**tiles, "impossible": tiles["impossible"] > 0}, least_mean=least)
            return self._policy.decide(state, self.goal, self.method)

        wanted = lambda tiles: np.logical_or(*decide(tiles))  # noqa: E731 - said once
        chosen = frontier.first(self.method.step_size, _JUDGED, wanted)
        return Choice(chosen, *decide(frontier.take(_JUDGED, chosen)))

    def _first_of_resamples(self, n_sims: int) -> IntArray:
        """Return the smallest indices of the identity and of all resamples, shape (1 + 2 n_bootstrap, ranks)."""
        count = max(1, int(calibration_rank(n_sims, self.goal.alpha)))
        resamples = first_order_statistics(self.method.bootstrap_seed, n_sims, 2 * self.method.n_bootstrap, count)
        return np.concatenate([np.arange(count)[None], resamples])


def _order(tiles: Columns) -> tuple[Array, FloatArray]:
    """Impossible tiles first, by id; then the lowest of the tilewise resamples."""
    possible = tiles["impossible"] == 0
    return possible.astype(np.uint8), np.where(possible, tiles["tilewise_min"], -np.inf)


def _mean(thresholds: Array) -> Array:
    """Return row means; -inf where both infinities meet."""
    with np.errstate(invalid="ignore"):
        mean = thresholds.mean(axis=1)
    return np.where(np.isnan(mean), -np.inf, mean)
