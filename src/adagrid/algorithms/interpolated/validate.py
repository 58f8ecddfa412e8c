"""Validation by interpolation: which points to simulate next, and what they certify.

The stages are pure functions of what was simulated before them: `pilot`, `more_pilot`, then `first_pass`, which
freezes cells and numbers of simulations and simulates them afresh, and `repair` until no cell misses its target.
A parameter value depends on the dim + 1 vertices of its cell: their limits share delta, and every repair takes
another slice of it with fresh simulations, so with confidence 1 - delta the bound holds there whatever was planned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.algorithms.interpolated.fisher import FisherCoordinates
from adagrid.algorithms.interpolated.planning import (
    MULTIPLE,
    Targets,
    excess_at_midpoints,
    longest_edge,
    plan_cells,
    plan_sims,
)
from adagrid.algorithms.interpolated.surrogate import Surrogates
from adagrid.bounds import interpolated_bound, tilt_bound
from adagrid.estimation import clopper_pearson_upper
from adagrid.families import Family
from adagrid.grid.grid import Grid
from adagrid.grid.simplices import Simplices, triangulate

_PILOT_SIMS, _PILOT_SPACING, _MOST_PILOT = 512, 1.0, 1500
# Shares of the planned simulations that each further round of the pilot may take.
_ROUND_SHARE, _ROUND_MOST, _ROUND_POINTS = 0.06, 0.15, 400
# Share of delta that is kept for repairs; each but the last takes half of what is left.
_REPAIR_SHARE = 0.1
REPAIRS = 4
_REPAIR_RESERVE, _REPAIR_FIT = 0.93, 800


@final
@dataclass(frozen=True)
class Points:
    """Points to simulate, or simulated.

    Args:
        theta: parameters, shape (points, dim).
        null_truth: null configuration, shape (points, hypotheses).
        begin: first simulation, shape (points,).
        end: one past the last simulation.
        stream: number of the seed stream; 0 is the pilot's.
        rejections: rejections among the simulations; -1 before they are run.
        delta: one minus the confidence of the limit that the points are for; 1 for a pilot.
    """

    theta: FloatArray
    null_truth: BoolArray
    begin: IntArray
    end: IntArray
    stream: IntArray
    rejections: IntArray
    delta: FloatArray

    @staticmethod
    def asked(
        theta: FloatArray, null_truth: BoolArray, begin: IntArray, n_sims: IntArray, stream: int, delta: float
    ) -> Points:
        """Return points that are to be simulated."""
        n = len(theta)
        return Points(theta, null_truth, begin, begin + n_sims, np.full(n, stream), np.full(n, -1), np.full(n, delta))

    def __len__(self) -> int:
        return len(self.theta)

    @property
    def n_sims(self) -> IntArray:
        """Numbers of simulations."""
        return self.end - self.begin

    @property
    def estimate(self) -> FloatArray:
        """Fractions of rejections."""
        return self.rejections / self.n_sims

    def take(self, index: IntArray) -> Points:
        """Return the points with given positions."""
        return Points(**{name: value[index] for name, value in vars(self).items()})

    def join(self, other: Points) -> Points:
        """Return these points followed by others."""
        return Points(**{name: np.concatenate([value, getattr(other, name)]) for name, value in vars(self).items()})


@final
@dataclass(frozen=True)
class Certificate:
    """Cells with the simulated points at their vertices.

    Args:
        cells: the cells in force.
        vertex: positions in `points` of every cell's vertices, shape (cells, dim + 1).
        points: the points, of all passes.
    """

    cells: Simplices
    vertex: IntArray
    points: Points


@final
class InterpolatedValidation:
    """Plans and judges a validation by interpolation.

    Args:
        family: distribution of the data.
        grid: the region.
        delta: one minus the confidence of the bound at each parameter value.
        max_target: slack where the error is largest.
        global_target: slack elsewhere.
        seed: seed of the choices of pilot points.
    """

    def __init__(
        self, family: Family, grid: Grid, *, delta: float, max_target: float, global_target: float, seed: int
    ) -> None:
        self.family = family
        self.roots = triangulate(grid)
        self.targets = Targets(max_target, global_target)
        self._delta = delta / (grid.dim + 1)
        self._seed = seed
        corners = self.roots.vertices.reshape(-1, grid.dim)
        self._lower, self._upper = corners.min(axis=0), corners.max(axis=0)
        self.fisher = FisherCoordinates(family, self._lower, self._upper)
        self._hypotheses = grid.hypotheses

    def pilot(self) -> Points:
        """Return the first points: a lattice one standard error apart, and the corners of the region."""
        theta, truth = [], []
        configurations = np.unique(self.roots.null_truth, axis=0)
        lattice = self._lattice(_MOST_PILOT // len(configurations))
        for configuration in configurations:
            own = self.roots.take((self.roots.null_truth == configuration).all(axis=1))
            inside = np.ones(len(lattice), bool)
            for plane, true in zip(self._hypotheses, configuration, strict=False):
                distance = plane.dist(lattice)
                inside &= distance >= 0 if true else distance <= 0
            corners = np.unique(own.vertices.reshape(-1, own.dim), axis=0)
            corners = corners[np.linspace(0, len(corners) - 1, min(len(corners), 64)).astype(int)]
            points = np.concatenate([lattice[inside], own.vertices.mean(axis=1)[:64], corners])
            theta.append(points)
            truth.append(np.repeat(configuration[None], len(points), axis=0))
        return self._pilot_points(np.concatenate(theta), np.concatenate(truth), 0, _PILOT_SIMS)

    def more_pilot(self, pilot: Points, number: int) -> Points:
        """Return further pilot points, drawn where the plan spends its simulations.

        Args:
            pilot: the pilot so far.
            number: number of the round, from 1.
        """
        plan = self._plan(pilot)
        total = float(plan.n_sims.sum())
        largest = plan.largest
        enough = largest * (1 - largest) / (0.2 * self.targets.max_target) ** 2
        budget = max(_ROUND_SHARE * total, min(_ROUND_MOST * total, enough))
        count = int(np.clip(budget // _PILOT_SIMS, 8, _ROUND_POINTS))
        each = int(max(_PILOT_SIMS // 2, budget // count))
        generator = np.random.Generator(np.random.PCG64([self._seed, number]))
        chosen = generator.choice(len(plan.theta), count, p=plan.n_sims / total)
        return self._pilot_points(plan.theta[chosen], plan.null_truth[chosen], int(pilot.end.max()), each)

    def first_pass(self, pilot: Points) -> tuple[Simplices, IntArray, Points]:
        """Return the frozen cells, the positions of their vertices among the points, and the points to simulate."""
        plan = self._plan(pilot)
        delta = self._delta * (1 - _REPAIR_SHARE)
        points = Points.asked(plan.theta, plan.null_truth, np.zeros(len(plan.theta), np.int64), plan.n_sims, 1, delta)
        return plan.cells, plan.vertex, points

    def bounds(self, certificate: Certificate, represented: FloatArray) -> FloatArray:
        """Return the certified bounds of the cells, shape (cells,).

        Args:
            certificate: cells and simulated points.
            represented: the points as they were simulated, in the design's own precision, shape (points, dim).
        """
        cells = certificate.cells
        upper = self.limits(certificate.points, represented)
        return interpolated_bound(self.family, cells.vertices, upper[certificate.vertex])

    def limits(self, points: Points, represented: FloatArray) -> FloatArray:
        """Return upper confidence limits at the points, shape (points,)."""
        limit = clopper_pearson_upper(points.rejections, points.n_sims, points.delta)
        return tilt_bound(self.family, represented, (points.theta - represented)[:, None, :], limit)

    def missed(self, certificate: Certificate, bounds: FloatArray, pilot: Points) -> BoolArray:
        """Return which cells miss the targets, shape (cells,)."""
        missed = self._slack_is_missed(certificate, bounds)
        limit = clopper_pearson_upper(
            certificate.points.rejections, certificate.points.n_sims, certificate.points.delta
        )
        rates = self.surrogates(self._with_final(pilot, certificate, np.ones(len(missed), bool))).rates
        excess = excess_at_midpoints(self.family, certificate.cells, np.log(limit)[certificate.vertex], rates)
        return missed | (excess > 1.05 * self.targets.global_target)

    def repair(
        self, certificate: Certificate, bounds: FloatArray, missed: BoolArray, pilot: Points, number: int
    ) -> tuple[Certificate, int]:
        """Replace cells that miss their targets.

        New cells keep the limits of vertices they share with the cell they come from, where these suffice; all
        other vertices are simulated with a fresh stream and a fresh slice of delta. (A limit from anywhere else
        would not be part of the union bound at the parameter values of the cell.)

        Args:
            certificate: the certificate so far.
            bounds: its bounds.
            missed: which cells to replace.
            pilot: the pilot.
            number: number of the repair, from 1.

        Returns:
            The certificate with the new points still to be simulated, and how many old points it has.
        """
        points, broken = certificate.points, certificate.cells.take(missed)
        largest = float(points.estimate.max())
        targets = replace(self.targets, reserve=_REPAIR_RESERVE)
        rates = self.surrogates(self._with_final(pilot, certificate, missed)).rates
        delta = self._delta * _REPAIR_SHARE * 0.5 ** min(number, REPAIRS - 1)
        tagged = Simplices(broken.vertices, broken.null_truth, np.arange(len(broken)).astype(np.uint64))
        # where the slack at vertices is met, only smaller cells bring the bound between them down
        too_large = ~self._slack_is_missed(certificate, bounds)[missed]
        halves = tagged.take(too_large)
        halves = halves.bisect(longest_edge(self.fisher, halves))
        tagged = Simplices.concatenate([tagged.take(~too_large), halves])
        cells = plan_cells(self.family, self.fisher, tagged, rates, targets, largest)
        theta, truth, vertex = distinct_vertices(cells)
        rate = rates(theta, truth)
        sims = plan_sims(self.family, cells, vertex, rate, np.zeros_like(rate), targets, largest, delta)
        parent = cells.root_id.astype(np.int64)
        old_vertex = certificate.vertex[missed][parent]
        same = (cells.vertices[:, :, None, :] == points.theta[old_vertex][:, None, :, :]).all(axis=3)
        inherited = np.where(same.any(axis=2), np.take_along_axis(old_vertex, same.argmax(axis=2), axis=1), -1)
        spent = points.n_sims[inherited] * 1.0
        keep = (inherited >= 0) & (spent >= 0.95 * sims[vertex])
        wanted, where = np.unique(vertex[~keep], return_inverse=True)
        fresh = Points.asked(
            theta[wanted], truth[wanted], np.zeros(len(wanted), np.int64), sims[wanted], 1 + number, delta
        )
        new_vertex = inherited.copy()
        new_vertex[~keep] = len(points) + where
        roots = certificate.cells.root_id[missed][parent]
        cells = Simplices(cells.vertices, cells.null_truth, roots)
        kept = certificate.cells.take(~missed)
        together = Certificate(
            Simplices.concatenate([kept, cells]),
            np.concatenate([certificate.vertex[~missed], new_vertex]),
            points.join(fresh),
        )
        return together, len(points)

    def _slack_is_missed(self, certificate: Certificate, bounds: FloatArray) -> BoolArray:
        """Return which cells' bounds exceed the largest estimate at their vertices by more than the targets."""
        estimate = certificate.points.estimate[certificate.vertex]
        cost = bounds - estimate.max(axis=1)
        could_be_worst = bounds > estimate.max()
        return (cost > self.targets.global_target) | (could_be_worst & (cost > self.targets.max_target))

    def _plan(self, pilot: Points) -> _Plan:
        """Plan cells and numbers of simulations; the largest rate and the plan settle together."""
        surrogates = self.surrogates(pilot)
        rates = surrogates.rates
        corners, truth, _ = distinct_vertices(self.roots)
        largest = float(max(rates(pilot.theta, pilot.null_truth).max(), rates(corners, truth).max()))
        for _ in range(4):
            cells = plan_cells(self.family, self.fisher, self.roots, rates, self.targets, largest)
            theta, truth, vertex = distinct_vertices(cells)
            rate = rates(theta, truth)
            previous, largest = largest, float(rate.max())
            if abs(largest - previous) < 0.02 * self.targets.max_target:
                break
        delta = self._delta * (1 - _REPAIR_SHARE)
        error = surrogates.errors(theta, truth, rate)
        sims = plan_sims(self.family, cells, vertex, rate, error, self.targets, largest, delta)
        return _Plan(cells, vertex, theta, truth, sims, largest)

    def surrogates(self, pilot: Points) -> Surrogates:
        """Fit what a pilot suggests, one surrogate per null configuration."""
        return Surrogates(self.fisher, pilot.theta, pilot.null_truth, pilot.rejections, pilot.n_sims)

    def _with_final(self, pilot: Points, certificate: Certificate, missed: BoolArray) -> Points:
        """Return the pilot with what the final passes found at the vertices of some cells."""
        some = np.unique(certificate.vertex[missed])
        some = some[np.linspace(0, len(some) - 1, min(len(some), _REPAIR_FIT)).astype(int)]
        return pilot.join(certificate.points.take(some))

    def _lattice(self, most: int) -> FloatArray:
        """Return points in the middle of equal steps of Fisher length one, longer if there would be too many."""
        spacing = _PILOT_SPACING
        while True:
            counts = np.maximum(np.ceil(self.fisher.lengths / spacing).astype(int), 2)
            if np.prod(counts) <= most or (counts == 2).all():
                break
            spacing *= 1.1
        axes = [
            (np.arange(count) + 0.5) / count * length for count, length in zip(counts, self.fisher.lengths, strict=True)
        ]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(counts))
        return self.fisher.inverse(places)

    def _pilot_points(self, theta: FloatArray, truth: BoolArray, used: int, each: int) -> Points:
        """Return pilot points with disjoint simulations."""
        each = -(-each // MULTIPLE) * MULTIPLE
        begin = used + np.arange(len(theta), dtype=np.int64) * each
        return Points.asked(theta, truth, begin, np.full(len(theta), each), 0, 1.0)


@final
@dataclass(frozen=True)
class _Plan:
    cells: Simplices
    vertex: IntArray
    theta: FloatArray
    null_truth: BoolArray
    n_sims: IntArray
    largest: float


def distinct_vertices(cells: Simplices) -> tuple[FloatArray, BoolArray, IntArray]:
    """Return the distinct vertices of cells: parameters, null configurations, and their positions per cell.

    A vertex on a null boundary counts once for every configuration of the cells around it.
    """
    n, n_vertices, dim = cells.vertices.shape
    truth = np.repeat(cells.null_truth, n_vertices, axis=0)
    rows = np.concatenate([cells.vertices.reshape(-1, dim) + 0.0, truth.astype(float)], axis=1)
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    return distinct[:, :dim], distinct[:, dim:].astype(bool), place.reshape(n, n_vertices)


__all__ = ["REPAIRS", "Certificate", "InterpolatedValidation", "Points", "distinct_vertices"]
