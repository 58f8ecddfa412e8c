"""Plans where to simulate, and how often, from expected error rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.special import betainccinv, ndtri

from adagrid._deadline import check_time
from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.errors import InvalidInputError
from adagrid.families import Family
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.methods.cells.algorithm import Round, distinct_vertices
from adagrid.methods.cells.fisher import FisherCoordinates
from adagrid.methods.cells.quadratic import estimated_log_bound
from adagrid.methods.cells.region import MULTIPLE
from adagrid.methods.cells.surrogate import LEAST, MOST
from adagrid.methods.cells.tuning import TUNING

Rates: TypeAlias = Callable[[FloatArray, BoolArray], FloatArray]
"""Expected error rates at parameters (points, dim) under null configurations (points, hypotheses)."""

LogBound: TypeAlias = Callable[[Family, FloatArray, FloatArray], FloatArray]
"""Logarithms of bounds of simplices, given a family, vertices and logarithms of limits at these."""

TooCoarse: TypeAlias = Callable[[Simplices, FloatArray, IntArray, FloatArray], BoolArray]
"""Which cells to bisect, given them, the expected rates at their vertices (cells, dim + 1), their longest edges, and
the expected rates at the midpoints of these (cells,)."""


@final
@dataclass(frozen=True)
class Targets:
    """What the certificate should reach.

    Args:
        max_target: slack where the error is largest.
        global_target: slack elsewhere.
        reserve: share of both that plans use.
    """

    max_target: float
    global_target: float
    reserve: float = TUNING.reserve

    @property
    def near(self) -> float:
        """The slack that plans use where the error is largest."""
        return self.reserve * min(self.max_target, TUNING.midpoint_share * self.global_target)

    def slack(self, rate: FloatArray, largest: float) -> FloatArray:
        """Return the slack that points may use, given their rates and the largest rate."""
        return np.maximum(self.near, np.minimum(TUNING.far_share * self.reserve * self.global_target, largest - rate))

    def may_be_worst(self, rate: FloatArray, largest: float) -> BoolArray:
        """Return where a small slack is surer to be reached than a bound below the largest estimate."""
        close: BoolArray = largest - rate < TUNING.undecided * self.near
        return close


@final
@dataclass(frozen=True)
class Mesh:
    """Planned cells with their distinct vertices.

    Args:
        cells: the cells.
        vertex: positions of their vertices, shape (cells, dim + 1).
        theta: parameters of the vertices, shape (vertices, dim).
        null_truth: their null configurations, shape (vertices, hypotheses).
        rate: their expected error rates, shape (vertices,).
    """

    cells: Simplices
    vertex: IntArray
    theta: FloatArray
    null_truth: BoolArray
    rate: FloatArray

    @staticmethod
    def of(cells: Simplices, rates: Rates) -> Mesh:
        """Return cells with the expected error rates at their vertices."""
        theta, null_truth, vertex = distinct_vertices(cells)
        return Mesh(cells, vertex, theta, null_truth, rates(theta, null_truth))

    def simulated(self, stream: int, n_sims: IntArray, level: FloatArray) -> Round:
        """Return the pass that simulates all vertices.

        Args:
            stream: seed stream.
            n_sims: numbers of simulations, shape (vertices,).
            level: what they are for, shape (vertices,).
        """
        points = Points.asked(self.theta, self.null_truth, stream=stream, n_sims=n_sims, level=level)
        return Round("pass", points, Cells.of(self.cells, points.id[self.vertex], n_sims[self.vertex]))


def plan_cells(fisher: FisherCoordinates, cells: Simplices, rates: Rates, too_coarse: TooCoarse) -> Simplices:
    """Bisect the longest edge of cells until none is too coarse.

    Args:
        fisher: coordinates in which edges are measured.
        cells: cells to begin with.
        rates: expected error rates.
        too_coarse: returns which cells to bisect.

    Raises:
        InvalidInputError: if there would be too many cells to keep.
    """
    finished: list[Simplices] = []
    n, n_vertices, dim = cells.vertices.shape
    corners = cells.vertices.reshape(-1, dim)
    rate = rates(corners, np.repeat(cells.null_truth, n_vertices, axis=0)).reshape(n, n_vertices)
    total = 0
    for _ in range(TUNING.most_bisections):
        check_time()
        edge = longest_edge(fisher, cells)
        middle = rates(cells.midpoint(edge), cells.null_truth)
        coarse = too_coarse(cells, rate, edge, middle)
        finished.append(cells.take(~coarse))
        total += len(finished[-1]) + 2 * int(coarse.sum())
        if not coarse.any():
            return Simplices.concatenate(finished)
        if total > TUNING.most_cells:
            break
        rate = _bisected_rates(cells, rate[coarse], edge[coarse], middle[coarse])
        cells = cells.take(coarse).bisect(edge[coarse])
    raise InvalidInputError(
        f"The plan would need over {TUNING.most_cells:,} cells, or very thin ones. Use a smaller region or other "
        "targets."
    )


def validation_cells(
    family: Family, fisher: FisherCoordinates, cells: Simplices, rates: Rates, targets: Targets, largest: float
) -> Simplices:
    """Bisect cells until interpolation costs little of the slack that a validation may use.

    Args:
        family: distribution of the data.
        fisher: coordinates in which edges are measured.
        cells: cells to begin with.
        rates: expected error rates.
        targets: what the certificate should reach.
        largest: the largest expected error rate.
    """

    def too_coarse(cells: Simplices, rate: FloatArray, edge: IntArray, middle: FloatArray) -> BoolArray:
        log_target, aim, allowance = _aims(rate, targets, largest)
        most = np.minimum(TUNING.overshoot * allowance, TUNING.most_overshoot)
        overshoot = np.maximum(estimated_log_bound(family, cells.vertices, log_target) - aim, 0.0)
        excess = np.exp(log_midpoint_bound(family, cells, log_target - overshoot[:, None], edge)) - middle
        return (overshoot > most) | (excess > TUNING.midpoint_share * targets.global_target)

    return plan_cells(fisher, cells, rates, too_coarse)


@final
@dataclass(frozen=True)
class Limits:
    """What confidence limits at vertices should reach.

    Args:
        rate: expected error rates, with some caution, shape (vertices,).
        upper: the limits that are planned.
        margin: standard errors that an estimate may be above the rate.
    """

    rate: FloatArray
    upper: FloatArray
    margin: FloatArray


def plan_limits(
    family: Family,
    mesh: Mesh,
    error: FloatArray,
    targets: Targets,
    largest: float,
    log_bound: LogBound = interpolated_log_bound,
) -> Limits:
    """Return the limits at vertices for which the bounds of cells meet their targets.

    Args:
        family: distribution of the data.
        mesh: planned cells and vertices.
        error: standard errors of the expected error rates, shape (vertices,).
        targets: what the certificate should reach.
        largest: the largest expected error rate.
        log_bound: returns logarithms of the bounds of cells, or estimates of these.
    """
    cells, vertex = mesh.cells, mesh.vertex
    cautious = np.clip(mesh.rate + 0.5 * error, LEAST, MOST)
    log_target, aim, _ = _aims(cautious[vertex], targets, largest)
    overshoot = np.maximum(log_bound(family, cells.vertices, log_target) - aim, 0.0)
    worst = cautious[vertex].max(axis=1)
    close = targets.may_be_worst(worst, largest)
    overshoot += np.where(close, np.log((worst + targets.slack(worst, largest)) / (worst + targets.near)), 0.0)
    log_upper = np.full(len(cautious), np.inf)
    np.minimum.at(log_upper, vertex, log_target - overshoot[:, None])
    upper = np.minimum(np.maximum(np.exp(log_upper), cautious + 0.1 * targets.slack(cautious, largest)), 1.0)
    # where the bound is to stay below the largest estimate, the noise of both decides: keep a margin
    undecided = ~targets.may_be_worst(cautious, largest) & (cautious > largest - 1.5 * targets.global_target)
    return Limits(cautious, upper, np.where(undecided, TUNING.worst_margin, 0.0))


def plan_sims(limits: Limits, delta: FloatArray | float) -> tuple[IntArray, FloatArray]:
    """Return how often to simulate every vertex: the least for which the expected limit is the planned one.

    Args:
        limits: the planned limits.
        delta: one minus the confidence of a vertex's limit, a number or shape (vertices,).

    Returns:
        Multiples of 64, shape (vertices,), and the limits that are planned, in the same shape.
    """
    return rounded_sims(sims_for_limit(limits.rate, limits.upper, delta, limits.margin)), limits.upper


def shares(vertex: IntArray, sims: IntArray) -> FloatArray:
    """Return how vertices divide the delta of their cells: no cell's shares sum to more than one.

    Confidence is dearest where most simulations are needed; in proportion to their roots, because there are more
    vertices that need few.

    Args:
        vertex: number of each cell's vertices, shape (cells, dim + 1).
        sims: simulations at the vertices if all have the same share, shape (vertices,).

    Returns:
        Shape (vertices,).
    """
    weight = np.sqrt(sims[vertex])
    share = np.full(len(sims), 1.0)
    np.minimum.at(share, vertex, weight / weight.sum(axis=1, keepdims=True))
    return share


def rounded_sims(sims: FloatArray) -> IntArray:
    """Return numbers of simulations within limits, rounded up to what the engine likes."""
    return (np.ceil(np.clip(sims, TUNING.least_sims, TUNING.most_sims) / MULTIPLE) * MULTIPLE).astype(np.int64)


def sims_for_limit(
    rate: FloatArray, upper: FloatArray, delta: FloatArray | float, margin: FloatArray | float = 0.0
) -> FloatArray:
    """Return about how many simulations bring the expected Clopper-Pearson limit of a rate below a value.

    Args:
        rate: error rates, in (0, 1).
        upper: values above the rates.
        delta: one minus the confidence.
        margin: standard errors that the estimate may be above the rate.

    Returns:
        Real numbers; infinite where `upper` is not above the rate.
    """
    possible = upper > rate
    room = np.where(possible, upper - rate, 1.0)
    noise = margin * np.sqrt(rate * (1 - rate))
    log_sims = np.log(((-ndtri(delta) * np.sqrt(upper * (1 - upper)) + noise) / room) ** 2 + 1 / room)
    # secants: on logarithmic scales the room that a limit takes falls almost on a line
    slope, before = np.full_like(room, TUNING.usual_slope), np.zeros_like(room)
    step = before
    for _ in range(TUNING.secants):
        sims = np.exp(log_sims)
        likely = np.minimum(rate + noise / np.sqrt(sims), 0.999)
        reached = betainccinv(likely * sims + 1, np.maximum(sims * (1 - likely), 1e-9), delta) - rate
        over = np.log(reached / room)
        found = np.divide(over - before, step, out=slope.copy(), where=step != 0)
        slope = np.where((found > TUNING.steepest_slope) & (found < TUNING.flattest_slope), found, slope)
        following = np.clip(
            log_sims - np.clip(over, -TUNING.longest_secant, TUNING.longest_secant) / slope, 0.0, TUNING.most_log_sims
        )
        log_sims, step, before = following, following - log_sims, over
    return np.where(possible, np.exp(log_sims), np.inf)


def weakest_edge(family: Family, cells: Simplices, log_upper: FloatArray) -> IntArray:
    """Return the position of every cell's edge with the largest interpolated bound at its midpoint, shape (cells,)."""
    edges = np.arange(len(cells.edges))
    bounds = [log_midpoint_bound(family, cells, log_upper, np.full(len(cells), edge)) for edge in edges]
    return np.stack(bounds, axis=1).argmax(axis=1)


def log_midpoint_bound(family: Family, cells: Simplices, log_upper: FloatArray, edge: IntArray) -> FloatArray:
    """Return the logarithm of the interpolated bound at the midpoint of one edge of every cell, for plans."""
    rows, ends = np.arange(len(cells)), np.array(cells.edges)[edge].T
    at_ends = [log_upper[rows, end] + family.log_partition(cells.vertices[rows, end]) for end in ends]
    return sum(at_ends) / 2 - family.log_partition(cells.midpoint(edge))


def _bisected_rates(cells: Simplices, rate: FloatArray, edge: IntArray, middle: FloatArray) -> FloatArray:
    """Return the rates at the vertices of both halves of bisected cells, in the order of `Simplices.bisect`."""
    rows, ends = np.arange(len(rate)), np.array(cells.edges)[edge]
    halves = np.repeat(rate, 2, axis=0)
    halves[2 * rows, ends[:, 1]] = middle
    halves[2 * rows + 1, ends[:, 0]] = middle
    return halves


def _aims(rate: FloatArray, targets: Targets, largest: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log targets at vertices of cells, the worst one's of each, and the slack that it leaves, in logarithms."""
    log_target = np.log(np.minimum(rate + targets.slack(rate, largest), 1.0))
    worst = rate.argmax(axis=1)
    rows = np.arange(len(rate))
    aim = log_target[rows, worst]
    return log_target, aim, aim - np.log(rate[rows, worst])


def longest_edge(fisher: FisherCoordinates, cells: Simplices) -> IntArray:
    """Return the position of every cell's longest edge in Fisher coordinates, shape (cells,)."""
    places = fisher(cells.vertices)
    lengths = np.stack([((places[:, a] - places[:, b]) ** 2).sum(axis=1) for a, b in cells.edges], axis=1)
    return lengths.argmax(axis=1)
