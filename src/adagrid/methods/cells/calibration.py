"""Calibration by interpolation: levels at vertices that keep alpha between them, and one fresh pass that is accepted.

If at every vertex v of a cell the error stays at a level a_v for the same threshold, convexity carries a bound over the
cell; levels are chosen so that the bound is alpha. lambda_star at a vertex is the floor((N + 1) a_v)-th smallest
statistic, the threshold is the least of them. Its expected error at v is at most a_v, and as a function of the
parameters it is the mean of a function of the data with values in [0, 1] (the probability, over the simulations, that
the trial rejects), so it is at most alpha everywhere. This needs one pass that is accepted whatever it shows, with
cells, levels and numbers of simulations that were fixed before: pilots fix them, and rehearsals with what the pilots
suggest decide whether the targets will be met.

With a confidence ranks are lower (`confident_rank`): the error with the one threshold that comes out is then at most
alpha everywhere, with this confidence over the simulations of the pass. docs/guarantee.md, section 5, has both proofs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.bounds import interpolated_bound, inverse_tilt_bound
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.families import Family
from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.methods._common import CALIBRATION_STREAM, Convergence, batches
from adagrid.methods.cells import statistics
from adagrid.methods.cells.algorithm import (
    ROUNDING_MARGIN,
    CellAlgorithm,
    FractionBelow,
    Round,
    RoundKind,
    Simulated,
    State,
    distinct_vertices,
    positions,
)
from adagrid.methods.cells.computed import computed_rates, computed_threshold
from adagrid.methods.cells.planning import Mesh, Rates, plan_cells, rounded_sims
from adagrid.methods.cells.quadratic import estimated_log_bound
from adagrid.methods.cells.region import Region
from adagrid.methods.cells.rehearsal import Rehearsals
from adagrid.methods.cells.surrogate import Surrogates
from adagrid.methods.cells.tuning import TUNING
from adagrid.methods.interpolated import Interpolated
from adagrid.runtime.exact import ExactErrors
from adagrid.settings.quantities import TypeIError
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator

_BATCH = 128
# Statistics that are in memory at once for the points of a batch.
_IN_MEMORY_AT_ONCE = 2**23


@final
class CellCalibration(CellAlgorithm):
    """Plan and certify a calibration by interpolation.

    At the vertex that sets the threshold, with f(x) the fraction of its statistics below x and x_b the threshold under
    bootstrap resample b, bias = f(threshold) - mean f(x_b), std = the standard deviation of f(x_b), and the grid cost
    is alpha minus the vertex's level. Resamples of different vertices are independent, which overstates the bias.

    Args:
        settings: the settings.
        family: distribution of the data.
        tiles: the tiles of the grid on which a null hypothesis is true.
        hypotheses: the grid's null hypotheses.
        exact: what the design computes of its errors; None simulates them.
        direction: 1 if small statistics of the design reject, else -1.
    """

    settings: Settings
    first_stream = CALIBRATION_STREAM

    def __init__(
        self,
        settings: Settings,
        family: Family,
        tiles: Tiles,
        hypotheses: Sequence[NullHypothesis],
        exact: ExactErrors | None = None,
        direction: float = 1.0,
    ) -> None:
        self.settings = settings
        self.goal, self.method = settings.calibration, settings.method_as(Interpolated)
        self.family = family
        self._exact, self._direction = exact, direction
        self._region = Region(family, tiles, hypotheses)
        self._aim = self._below_alpha(TUNING.grid_share)
        self._expected = lru_cache(maxsize=1)(self._threshold)
        self._certain = lru_cache(maxsize=1)(self._computed_plan)

    def _below_alpha(self, share: float) -> float:
        """Return alpha less a share of what may be lost to the size of cells."""
        return self.goal.alpha - share * min(self.goal.grid_target, self.goal.alpha)

    def _least_count(self) -> float:
        """Return how many statistics are expected below a level for its rank to be above `min_rank`."""
        least, margin = self.method.min_rank + 1, self.goal.margin
        return least + margin**2 / 2 + margin * float(np.sqrt(least + margin**2 / 4))

    @property
    def _bootstrap_columns(self) -> list[str]:
        return [f"bootstrap{b}" for b in range(self.method.n_bootstrap)]

    @override
    def pilot_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        return dict.fromkeys(statistics.COLUMNS, _held(dtype))

    @override
    def vertex_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        resamples = dict.fromkeys(self._bootstrap_columns, _held(dtype))
        return {"rank": np.int64, "lambda_star": np.float64, **resamples}

    @property
    @override
    def certificate_columns(self) -> Mapping[str, type]:
        return dict.fromkeys(("alpha0", "lambda_star", "tie_bound", "grid_cost"), np.float64)

    @override
    def simulate(self, simulator: Simulator, kind: RoundKind, points: Points) -> Mapping[str, Array]:
        if kind == "pilot":
            ranks = statistics.order_statistic_ranks(points.n_sims, self.goal.alpha)
            smallest = self._order_statistics(simulator, points, ranks)
            return {name: smallest[:, i] for i, name in enumerate(statistics.COLUMNS)}
        # what is simulated is the point as the design's precision holds it
        represented = simulator.represented(points.theta)
        level = inverse_tilt_bound(self.family, represented, (points.theta - represented)[:, None, :], points.level)
        level = np.minimum(level, points.level)
        rank = self.goal.rank(points.n_sims, level)
        if self._exact is not None:
            star = self._exact.thresholds(represented, points.null_truth, level)
            return {"rank": rank, "lambda_star": star, **dict.fromkeys(self._bootstrap_columns, star)}
        ranks = np.stack([rank, *self._resampled_ranks(points, rank).T], axis=1)
        values = self._order_statistics(simulator, points, np.maximum(ranks, 1))
        values[rank == 0] = -np.inf
        bootstrap = {name: values[:, 1 + b] for b, name in enumerate(self._bootstrap_columns)}
        return {"rank": rank, "lambda_star": values[:, 0].astype(np.float64), **bootstrap}

    @override
    def certify(self, cells: Cells, vertices: Simulated) -> Mapping[str, Array]:
        vertex = positions(vertices.points.id, cells.point_id)
        level, star = vertices.points.level[vertex], vertices["lambda_star"][vertex]
        deciding = star.argmin(axis=1)[:, None]
        alpha0 = np.take_along_axis(level, deciding, axis=1)[:, 0]
        return {
            "alpha0": alpha0,
            "lambda_star": star.min(axis=1),
            "tie_bound": interpolated_bound(self.family, vertices.points.theta[vertex], level) * (1 + ROUNDING_MARGIN),
            "grid_cost": self.goal.alpha - alpha0,
        }

    @override
    def convergence(self, state: State, fraction_below: FractionBelow) -> Convergence:
        if not state.passes:
            if not state.rounds:
                return Convergence(False, {})
            threshold, *_ = self._expected(state.pilot) if self._exact is None else self._certain(self._exact)
            return Convergence(False, {"expected threshold": threshold})
        goal, vertices = self.goal, state.vertices
        star = vertices["lambda_star"]
        # of the vertices that set it, which may be many if statistics have few values, the one that loses least
        worst = int(np.lexsort((vertices.points.id, -vertices.points.level, star))[0])
        threshold = float(star[worst])
        resampled = np.array([vertices[name].min() for name in self._bootstrap_columns], float)
        bias = std = 0.0
        if self._exact is None:
            below = fraction_below(worst, np.concatenate([[threshold], resampled]))
            bias, std = float(below[0] - below[1:].mean()), float(below[1:].std())
        level = vertices.points.level[worst]
        grid_cost = float(goal.alpha - level)
        figures = {"threshold": threshold, "bias": bias, "std": std, "grid cost": grid_cost}
        if goal.confidence is not None and self._exact is None:
            figures["confidence cost"] = float(level - vertices["rank"][worst] / (vertices.points.n_sims[worst] + 1))
        return Convergence(
            converged=bias < goal.bias_target and std < goal.std_target and grid_cost < goal.grid_target,
            figures=figures,
        )

    @override
    def next_round(self, state: State) -> Round | None:
        if state.passes:
            return None
        if not state.rounds:
            pilot = self._region.pilot(TUNING.calibration_pilot_sims, self.first_stream)
            return Round("pilot", pilot if self._exact is None else pilot.take(slice(0)))
        if self._exact is not None:
            _, mesh, level = self._certain(self._exact)
            return mesh.simulated(self.first_stream + 1, np.zeros(len(level), np.int64), level)
        goal, number = self.goal, len(state.rounds)
        _, surrogates, counts, discrete = self._expected(state.pilot)
        mesh = self._mesh(surrogates.rates, self._aim)
        error = surrogates.errors(mesh.theta, mesh.null_truth, mesh.rate)
        if number > TUNING.pilot_rounds:
            rehearsals = Rehearsals(self.settings, mesh, surrogates, counts, discrete)
            return mesh.simulated(self.first_stream + 1, *self._rehearsed(rehearsals, error))
        level = self._levels(mesh, self._aim, goal.alpha)
        n_sims = self._sims(mesh.rate, error, level)
        enough = goal.alpha / (0.2 * (goal.grid_target + goal.bias_target)) ** 2
        seed = (self.settings.model_seed, number)
        points = self._region.more_pilot(
            state.pilot.points, mesh.theta, mesh.null_truth, n_sims, enough=enough, seed=seed
        )
        return Round("pilot", points)

    def _computed_plan(self, exact: ExactErrors) -> tuple[float, Mesh, FloatArray]:
        """Return the threshold, cells and levels of a design that computes its errors.

        What the pass will find is known beforehand: cells get smaller until it meets its target, or that of the pass
        that loses least is taken.
        """
        found = []
        for share in TUNING.computed_grid_shares:
            mesh, level, threshold = self._computed_levels(exact, self._below_alpha(share))
            least, deciding = float(threshold.min()), float(level[threshold == threshold.min()].max())
            found.append((least, deciding, mesh, level))
            if self.goal.alpha - deciding < self.goal.grid_target:
                break
        least, _, mesh, level = max(found, key=itemgetter(0, 1))
        return least, mesh, level

    def _computed_levels(self, exact: ExactErrors, aim: float) -> tuple[Mesh, FloatArray, FloatArray]:
        """Return cells, and levels and thresholds at their vertices.

        With the next threshold, which cells must tell from the one that is expected, errors are above the aim: those
        with the expected one are scaled up to it.
        """
        theta, null_truth = self._region.look()
        expected = computed_threshold(exact, self._direction, theta, null_truth, aim)
        rates = computed_rates(exact, TypeIError(), self._direction * expected)
        factor = aim / float(rates(theta, null_truth).max())
        mesh = self._mesh(lambda *at: np.minimum(factor * rates(*at), 1.0), aim)
        level = self._levels(mesh, aim, self.goal.alpha)
        return mesh, level, exact.thresholds(mesh.theta, mesh.null_truth, level)

    def _order_statistics(self, simulator: Simulator, points: Points, ranks: IntArray) -> Array:
        """Return order statistics of points with given ranks, shape of `ranks`."""
        values = np.empty(ranks.shape, simulator.dtype)
        order = np.argsort(points.n_sims, kind="stable")
        most = max(1, _IN_MEMORY_AT_ONCE // int(ranks.max(initial=1)))
        for part in batches(len(points), self.settings.tile_batch_size or min(_BATCH, most)):
            rows = order[part]
            some, most = points.take(rows), ranks[rows].max(axis=1)
            smallest = simulator.smallest(some.theta, some.null_truth, some.n_sims, most, some.begin)
            values[rows] = np.take_along_axis(smallest, ranks[rows] - 1, axis=1)
        return values

    def _resampled_ranks(self, points: Points, rank: IntArray) -> IntArray:
        """Return which order statistics are the rank-th smallest of resamples, shape (points, resamples).

        The rank-th smallest of N uniform indices is the index of a Beta(rank, N - rank + 1) variable.
        """
        ranks = np.empty((len(points), self.method.n_bootstrap), np.int64)
        for row, (own, count, r) in enumerate(zip(points.id.tolist(), points.n_sims.tolist(), rank, strict=True)):
            generator = np.random.Generator(np.random.PCG64([self.method.bootstrap_seed, own]))
            uniform = generator.beta(max(int(r), 1), count - int(r) + 1, ranks.shape[1])
            ranks[row] = np.minimum((uniform * count).astype(np.int64) + 1, count)
        return ranks

    def _threshold(self, pilot: Simulated) -> tuple[float, Surrogates, FloatArray, bool]:
        """Find the threshold at which the largest expected error is what plans aim at.

        With a confidence ranks are lower, and so will be the threshold that comes out: plans are then a little careful.

        Returns:
            The threshold; surrogates of the error rates at it; the counts of the pilot points below thresholds around
            it, shape (points, thresholds); and whether these are all there are, as for statistics with few values.
        """
        points = pilot.points
        smallest = np.stack([pilot[name] for name in statistics.COLUMNS], axis=1)
        ranks = statistics.order_statistic_ranks(points.n_sims, self.goal.alpha)
        corners, truth, _ = distinct_vertices(self._region.simplices)
        theta, null_truth = np.concatenate([points.theta, corners]), np.concatenate([points.null_truth, truth])
        within = np.unique(smallest.astype(float))
        tried = _some_of(within)
        counts = statistics.counts_below(smallest, ranks, tried)
        largest = (counts / points.n_sims[:, None]).max(axis=0)
        for lower, upper in TUNING.threshold_spans:
            low, middle, high = (_crossing(largest, share * self._aim) for share in (lower, 1.0, upper))
            surrogates = Surrogates(self._region.fisher, points, counts[:, middle])
            within = within[(within >= tried[low]) & (within <= tried[min(high + 1, len(tried) - 1)])]
            tried = _some_of(within)
            counts = statistics.counts_below(smallest, ranks, tried)
            largest = surrogates.other_rates(theta, null_truth, counts).max(axis=0)
        discrete, found = len(within) == len(tried), _crossing(largest, self._aim)
        if discrete:
            # points of a pilot share their trials, so many points are hardly better than the best one
            doubt = TUNING.discrete_doubts * float(np.sqrt(self._aim * (1 - self._aim) / points.n_sims.max()))
            found = _not_lost(largest, found, self._aim, doubt)
        surrogates = Surrogates(self._region.fisher, points, counts[:, found])
        return float(tried[found]), surrogates, counts, discrete

    def _mesh(self, rates: Rates, aim: float) -> Mesh:
        """Plan cells, given expected errors at the expected threshold and what the largest of them is to be."""

        def too_coarse(cells: Simplices, rate: FloatArray, edge: IntArray, middle: FloatArray) -> BoolArray:
            del edge, middle
            log_level, allowance = self._log_levels(rate, aim)
            bound = estimated_log_bound(self.family, cells.vertices, log_level)
            return bound - np.log(self.goal.alpha) > np.minimum(allowance, TUNING.most_overshoot)

        return Mesh.of(plan_cells(self._region.fisher, self._region.simplices, rates, too_coarse), rates)

    def _levels(self, mesh: Mesh, aim: float, alpha: float) -> FloatArray:
        """Return levels at vertices that keep an error of alpha between them, shape (vertices,)."""
        vertices, vertex = mesh.cells.vertices, mesh.vertex
        log_target, _ = self._log_levels(mesh.rate[vertex], aim)
        overshoot = interpolated_log_bound(self.family, vertices, log_target) - np.log(self.goal.alpha)
        log_level = np.full(len(mesh.rate), np.inf)
        np.minimum.at(log_level, vertex, log_target - np.maximum(overshoot, 0.0)[:, None])
        # the search for a bound stops early: what it finds for the final levels is what has to be within alpha
        for _ in range(TUNING.level_reductions):
            reached = interpolated_log_bound(self.family, vertices, log_level[vertex]) - np.log(alpha)
            over = np.where(reached > -2 * ROUNDING_MARGIN, reached + 4 * ROUNDING_MARGIN, 0.0)
            if not over.any():
                break
            np.minimum.at(log_level, vertex, (log_level[vertex] - over[:, None]))
        return np.exp(log_level)

    def _log_levels(self, rate: FloatArray, aim: float) -> tuple[FloatArray, FloatArray]:
        """Return log levels wanted at vertices of cells, and by how much bounds that they give may exceed alpha."""
        alpha = self.goal.alpha
        log_level = np.log(alpha * np.minimum(rate / (TUNING.flat_share * aim), 1.0) ** TUNING.level_power)
        room = np.maximum(log_level.max(axis=1) - np.log(rate.max(axis=1)) - TUNING.doubt, 0.0)
        return log_level, np.maximum(np.log(alpha / aim), TUNING.overshoot * room)

    def _sims(self, rate: FloatArray, error: FloatArray, level: FloatArray, more: float = 1.0) -> IntArray:
        """Return how often to simulate vertices.

        A vertex either has its rank so many standard errors above its error that it hardly ever sets the threshold,
        or, where its level costs little of alpha, enough simulations for the targets if it does.

        Args:
            rate: expected errors at the threshold, shape (vertices,).
            error: standard errors of these.
            level: levels.
            more: factor by which vertices that may set the threshold get more standard errors than usual.
        """
        goal = self.goal
        variance = goal.alpha * (1 - goal.alpha)
        enough = more**2 * variance * max(goal.std_target**-2, TUNING.bias_errors**2 * goal.bias_target**-2)
        room = level - rate - np.minimum(error, 0.3 * (goal.grid_target + goal.bias_target))
        noise = np.maximum(rate, 1e-4) * (1 - rate)
        distance = more * TUNING.clear_errors + goal.margin * np.sqrt(level * (1 - level) / noise)
        with np.errstate(divide="ignore"):
            clear = np.where(room > 0, (distance / room) ** 2 * noise, np.inf)
        may_decide = goal.alpha - level <= TUNING.most_grid_share * goal.grid_target
        sims = np.minimum(np.where(may_decide, np.minimum(clear, enough), clear), TUNING.most_clear_sims * enough)
        return rounded_sims(np.maximum(sims, self._least_count() / level))

    def _rehearsed(self, rehearsals: Rehearsals, error: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the fewest simulations, and levels, that would probably meet the targets.

        Beside more simulations, lower levels are tried: with few possible thresholds it helps to aim between two.
        """
        mesh = rehearsals.mesh
        levels = lru_cache(lambda lowered: self._levels(mesh, self._aim, self._below_alpha(lowered)))
        found = []
        for attempt, lowered in itertools.product(range(TUNING.rehearsal_attempts), TUNING.lowered_aims):
            level = levels(lowered)
            n_sims = self._sims(mesh.rate, error, level, TUNING.rehearsal_growth**attempt)
            found.append((rehearsals.success(level, n_sims), n_sims, level))
            if found[-1][0] >= TUNING.rehearsal_success:
                break
        _, n_sims, level = max(found, key=itemgetter(0))  # the first of the best
        return n_sims, level


def _held(dtype: np.dtype[Any]) -> type:
    """Return the type of columns that hold statistics exactly."""
    return np.float32 if dtype.itemsize <= 4 else np.float64


def _some_of(values: FloatArray) -> FloatArray:
    """Return at most some ascending values, evenly spread over their places."""
    return values[np.linspace(0, len(values) - 1, min(len(values), TUNING.thresholds)).astype(int)]


def _not_lost(largest: FloatArray, found: int, aim: float, doubt: float) -> int:
    """Return the place of the next threshold if its error may be within the aim, and much is lost without it.

    Args:
        largest: estimates of the largest errors with ascending thresholds, shape (thresholds,).
        found: the place of the largest threshold with an estimate within the aim.
        aim: what the error is to be.
        doubt: by how much estimates may be wrong.
    """
    following = min(found + 1, len(largest) - 1)
    worth = largest[found] < TUNING.worth_a_try * aim and largest[following] <= aim + doubt
    return following if worth else found


def _crossing(rates: FloatArray, aim: float) -> int:
    """Return the place of the largest of ascending thresholds whose rate is at most the aim; the first if none is."""
    return max(int(np.searchsorted(np.maximum.accumulate(rates), aim, side="right")) - 1, 0)
