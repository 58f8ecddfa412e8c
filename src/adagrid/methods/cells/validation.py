"""Validation by interpolation: which points to simulate next, and what they certify.

The rounds are pure functions of what was simulated before them: pilots, then a first pass, which freezes cells and
numbers of simulations and simulates them afresh, then repairs until no cell misses its target. A parameter value
depends on the dim + 1 vertices of its cell: their limits share delta, and every repair takes another slice of it with
fresh simulations, so with confidence 1 - delta the bound holds there whatever was planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.bounds import interpolated_bound, interpolated_lower_bound, tilt_bound, tilt_lower_bound
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.families import Family
from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.cells import Cells
from adagrid.grid.grid import overcounted
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.methods._common import VALIDATION_STREAM, Convergence, batches, expected_count
from adagrid.methods.cells.algorithm import (
    ROUNDING_MARGIN,
    SLICES,
    CellAlgorithm,
    FractionBelow,
    Round,
    RoundKind,
    Simulated,
    State,
    distinct_vertices,
    positions,
)
from adagrid.methods.cells.computed import computed_rates
from adagrid.methods.cells.planning import (
    Limits,
    Mesh,
    Rates,
    Targets,
    plan_limits,
    plan_sims,
    shares,
    validation_cells,
    weakest_edge,
)
from adagrid.methods.cells.quadratic import estimated_log_bound
from adagrid.methods.cells.region import Region, joined
from adagrid.methods.cells.surrogate import Surrogates
from adagrid.methods.cells.tuning import TUNING
from adagrid.runtime.exact import ExactErrors
from adagrid.settings.settings import Settings

if TYPE_CHECKING:
    from adagrid.engine import Simulator

_BATCH = 4096
REPAIRS = len(SLICES) - 1


@final
@dataclass(frozen=True)
class _Plan:
    """What is asked of vertices.

    Args:
        n_sims: numbers of simulations, shape (vertices,).
        upper: the limits that are planned.
        level: one minus the confidence of these.
    """

    n_sims: IntArray
    upper: FloatArray
    level: FloatArray

    @staticmethod
    def for_certain(n: int) -> _Plan:
        """Return what is asked where errors are computed: no simulations, and no confidence is spent."""
        return _Plan(np.zeros(n, np.int64), np.ones(n), np.zeros(n))


@final
class CellValidation(CellAlgorithm):
    """Plan and certify a validation by interpolation.

    A cell's slack total_cost = tie_bound - tie_estimate, with the largest estimate at its vertices, is due to its
    size (grid_cost) and to the numbers of simulations (sim_cost). Converged when every cell has total_cost <=
    global_target and every cell whose bound exceeds the largest estimate has total_cost <= max_target.

    Args:
        settings: the settings; `threshold` is in the model's own direction.
        family: distribution of the data.
        tiles: the tiles of the grid on which a null hypothesis is true.
        hypotheses: the grid's null hypotheses.
        exact: what the design computes of its errors; None simulates them.
    """

    settings: Settings
    first_stream = VALIDATION_STREAM

    def __init__(
        self,
        settings: Settings,
        family: Family,
        tiles: Tiles,
        hypotheses: Sequence[NullHypothesis],
        exact: ExactErrors | None = None,
    ) -> None:
        self.settings = settings
        self.goal = goal = settings.validation
        self.family = family
        self._hypotheses = hypotheses
        self._exact = exact
        self._region = Region(family, tiles, hypotheses)
        self._computed = None if exact is None else computed_rates(exact, goal.bounded, goal.rejection_limit)
        self._targets = Targets(goal.max_target, goal.global_target)
        self._expected = lru_cache(maxsize=1)(self._expected_errors)
        self._certain = lru_cache(maxsize=1)(self._computed_plan)

    @override
    def pilot_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        return {"rejections": np.int64}

    @override
    def vertex_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        limits = ("tie_estimate", "tie_point_lower", "tie_point_bound")
        return {"rejections": np.int64, **dict.fromkeys(limits, np.float64)}

    @property
    @override
    def certificate_columns(self) -> Mapping[str, type]:
        bounds = ("tie_estimate", "tie_point_lower", "tie_point_bound", "tie_lower", "tie_bound")
        return dict.fromkeys((*bounds, "grid_cost", "sim_cost", "total_cost"), np.float64)

    @override
    def simulate(self, simulator: Simulator, kind: RoundKind, points: Points) -> Mapping[str, Array]:
        if kind == "pilot":
            return {"rejections": self._count(simulator, points)}
        # what was simulated is the point as the design's precision holds it
        represented = simulator.represented(points.theta)
        if self._exact is None:
            rejections = self._count(simulator, points)
            estimate, lower, upper = self.goal.bounded.limits(rejections, points.n_sims, points.level)
        else:
            exact = self._exact.errors(represented, points.null_truth, self.goal.rejection_limit)
            rejections = expected_count(exact, points.n_sims)
            estimate, lower, upper = self.goal.bounded.computed(exact)
        beside = (points.theta - represented)[:, None, :]
        return {
            "rejections": rejections,
            "tie_estimate": estimate,
            "tie_point_lower": tilt_lower_bound(self.family, represented, beside, lower),
            "tie_point_bound": tilt_bound(self.family, represented, beside, upper),
        }

    def _count(self, simulator: Simulator, points: Points) -> IntArray:
        """Count the rejections of points."""
        threshold = simulator.model.direction * self.goal.rejection_limit
        rejections = np.empty(len(points), np.int64)
        for rows in batches(len(points), self.settings.tile_batch_size or _BATCH):
            some = points.take(rows)
            rejections[rows] = simulator.count(
                some.theta, some.null_truth, threshold, some.begin, some.begin + some.n_sims,
                ties=self.goal.bounded.ties,
            )  # fmt: skip
        return rejections

    @override
    def certify(self, cells: Cells, vertices: Simulated) -> Mapping[str, Array]:
        vertex = positions(vertices.points.id, cells.point_id)
        places = vertices.points.theta[vertex]
        lower, upper = vertices["tie_point_lower"][vertex], vertices["tie_point_bound"][vertex]
        bound = np.minimum(interpolated_bound(self.family, places, upper) * (1 + ROUNDING_MARGIN), 1.0)
        estimate = vertices["tie_estimate"][vertex].max(axis=1)
        point_bound = upper.max(axis=1)
        known = ~overcounted(cells.theta, cells.radius, cells.null_truth, self._hypotheses)
        return {
            "tie_estimate": estimate,
            "tie_point_lower": lower.min(axis=1),
            "tie_point_bound": point_bound,
            "tie_lower": interpolated_lower_bound(self.family, places, lower * known[:, None]) * (1 - ROUNDING_MARGIN),
            "tie_bound": bound,
            "grid_cost": bound - point_bound,
            "sim_cost": point_bound - estimate,
            "total_cost": bound - estimate,
        }

    @override
    def convergence(self, state: State, fraction_below: FractionBelow) -> Convergence:
        if not state.passes:
            if not state.rounds:
                return Convergence(False, {})
            quantity = self.goal.bounded
            _, largest = self._expected(state.pilot) if self._computed is None else self._certain(self._computed)
            expected = float(quantity.value(largest))
            return Convergence(False, {f"expected {quantity.word}": expected})
        missed = self._missed(state)
        return Convergence(
            converged=not missed.any(),
            figures={
                **self.goal.bounded.figures(
                    *(float(state.certificate[name].max()) for name in ("tie_bound", "tie_estimate", "total_cost"))
                ),
                "over target": int(missed.sum()),
            },
        )

    @override
    def next_round(self, state: State) -> Round | None:
        if state.passes:
            return self._repair(state) if state.passes <= REPAIRS else None
        if not state.rounds:
            pilot = self._region.pilot(TUNING.validation_pilot_sims, self.first_stream)
            return Round("pilot", pilot if self._exact is None else pilot.take(slice(0)))
        if self._computed is not None:
            mesh, _ = self._certain(self._computed)
            plan = _Plan.for_certain(len(mesh.rate))
            return mesh.simulated(self.first_stream + 1, plan.n_sims, plan.level)
        (surrogates, largest), number = self._expected(state.pilot), len(state.rounds)
        mesh, largest = self._settled(surrogates.rates, largest)
        error, last = surrogates.errors(mesh.theta, mesh.null_truth, mesh.rate), number > TUNING.pilot_rounds
        log_bound = interpolated_log_bound if last else estimated_log_bound
        plan = self._plan(mesh, plan_limits(self.family, mesh, error, self._targets, largest, log_bound), 0)
        if last:
            return mesh.simulated(self.first_stream + 1, plan.n_sims, plan.level)
        enough = largest * (1 - largest) / (0.2 * self._targets.max_target) ** 2
        seed = (self.settings.model_seed, number)
        more = self._region.more_pilot(
            state.pilot.points, mesh.theta, mesh.null_truth, plan.n_sims, enough=enough, seed=seed
        )
        return Round("pilot", more)

    def _computed_plan(self, rates: Rates) -> tuple[Mesh, float]:
        """Return cells planned from computed errors, and the largest of these."""
        return self._settled(rates, float(rates(*self._region.look()).max()))

    def _repair(self, state: State) -> Round:
        """Replace cells that miss their targets.

        New cells keep the limits of vertices they share with the cell they come from, where these suffice; all
        other vertices are simulated with a fresh stream and a fresh slice of delta. (A limit from anywhere else
        would not be part of the union bound at the parameter values of the cell.)
        """
        number, points, missed = state.passes, state.vertices.points, self._missed(state)
        largest = float(state.certificate["tie_estimate"].max())
        targets = replace(self._targets, reserve=TUNING.repair_reserve)
        old_vertex = state.vertex[missed]
        some = state.vertices.take(np.unique(old_vertex))
        rates = self._computed or self._surrogates(state.pilot, some).rates
        broken = state.simplices().take(missed)
        # one point in the middle of a cell costs less than simulating all its vertices anew
        too_large = (state.certificate["grid_cost"] > TUNING.large_share * state.certificate["total_cost"])[missed]
        halves = broken.take(too_large)
        log_limit = np.log(state.vertices["tie_point_bound"][old_vertex[too_large]])
        halves = halves.bisect(weakest_edge(self.family, halves, log_limit))
        begin = Simplices.concatenate([broken.take(~too_large), halves])
        cells = validation_cells(self.family, self._region.fisher, begin, rates, targets, largest)
        mesh = Mesh.of(cells, rates)
        if self._exact is not None:
            plan = _Plan.for_certain(len(mesh.rate))
        else:
            limits = plan_limits(self.family, mesh, np.zeros_like(mesh.rate), targets, largest)
            plan = self._plan(mesh, limits, number)
        old_vertex = old_vertex[positions(broken.part_of, cells.part_of)]
        same = (cells.vertices[:, :, None, :] == points.theta[old_vertex][:, None, :, :]).all(axis=3)
        inherited = np.take_along_axis(old_vertex, same.argmax(axis=2), axis=1)
        keep = same.any(axis=2) & (state.vertices["tie_point_bound"][inherited] <= plan.upper[mesh.vertex])
        keep &= ~keep.all(axis=1, keepdims=True)  # a cell that would stay as it was is simulated anew
        wanted, place = np.unique(mesh.vertex[~keep], return_inverse=True)
        fresh = Points.asked(
            mesh.theta[wanted],
            mesh.null_truth[wanted],
            stream=self.first_stream + 1 + number,
            n_sims=plan.n_sims[wanted],
            level=plan.level[wanted],
        )
        point_id, n_sims = points.id[inherited], points.n_sims[inherited]
        point_id[~keep], n_sims[~keep] = fresh.id[place], fresh.n_sims[place]
        return Round("pass", fresh, Cells.of(cells, point_id, n_sims))

    def _missed(self, state: State) -> BoolArray:
        """Return which cells' bounds exceed the largest estimate at their vertices by more than the targets."""
        cost, bound = state.certificate["total_cost"], state.certificate["tie_bound"]
        could_be_worst = bound > state.certificate["tie_estimate"].max()
        return (cost > self._targets.global_target) | (could_be_worst & (cost > self._targets.max_target))

    def _settled(self, rates: Rates, largest: float) -> tuple[Mesh, float]:
        """Plan cells; the largest rate and the plan settle together.

        Args:
            rates: expected error rates.
            largest: about the largest of them.
        """
        cells = self._region.simplices
        for _ in range(4):
            cells = validation_cells(self.family, self._region.fisher, cells, rates, self._targets, largest)
            mesh = Mesh.of(cells, rates)
            previous, largest = largest, float(mesh.rate.max())
            if abs(largest - previous) < 0.02 * self._targets.max_target:
                break
        return mesh, largest

    def _plan(self, mesh: Mesh, limits: Limits, number: int) -> _Plan:
        """Plan numbers of simulations for limits, and the levels that divide a slice of delta."""
        delta = self.goal.delta * SLICES[number]
        level = np.full(len(mesh.rate), delta / (mesh.cells.dim + 1))
        for _ in range(2):
            sims, upper = plan_sims(limits, level)
            level, planned = delta * shares(mesh.vertex, sims), level
        return _Plan(sims, upper, planned)

    def _expected_errors(self, pilot: Simulated) -> tuple[Surrogates, float]:
        """Fit what a pilot suggests; return that and the largest expected error at its points and at corners."""
        surrogates = self._fitted(pilot)
        corners, truth, _ = distinct_vertices(self._region.simplices)
        rate = surrogates.rates(
            np.concatenate([pilot.points.theta, corners]), np.concatenate([pilot.points.null_truth, truth])
        )
        return surrogates, float(rate.max())

    def _surrogates(self, pilot: Simulated, vertices: Simulated) -> Surrogates:
        """Fit what a pilot and some vertices of passes suggest."""
        return self._fitted(joined(pilot, vertices, "rejections", TUNING.repair_points))

    def _fitted(self, simulated: Simulated) -> Surrogates:
        events = self.goal.bounded.events(simulated["rejections"], simulated.points.n_sims)
        return Surrogates(self._region.fisher, simulated.points, events)
