"""Plans where to simulate, and how often, from expected error rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.special import betainccinv, ndtri

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.algorithms.interpolated.fisher import FisherCoordinates
from adagrid.algorithms.interpolated.region import MULTIPLE
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.errors import InvalidInputError
from adagrid.families import Family
from adagrid.grid.simplices import Simplices

Rates: TypeAlias = Callable[[FloatArray, BoolArray], FloatArray]
"""Expected error rates at parameters (points, dim) under null configurations (points, hypotheses)."""

TooCoarse: TypeAlias = Callable[[Simplices, FloatArray, IntArray, FloatArray], BoolArray]
"""Which cells to bisect, given them, the expected rates at their vertices (cells, dim + 1), their longest edges, and
the expected rates at the midpoints of these (cells,)."""

# Shares of the targets: what far tiles may use, what is kept in reserve, and how the allowance is divided.
_FAR, _RESERVE, _OVERSHOOT, _MIDPOINT = 0.7, 0.97, 0.3, 0.9
_MOST_OVERSHOOT = 0.7
# How far below the largest rate, over max_target, vertices are planned to be shown not to be the worst; the margin.
_UNDECIDED, _MARGIN = 1.5, 1.5
_MAX_DEPTH, _MAX_CELLS = 60, 3_000_000
_LEAST_SIMS, _MOST_SIMS = 256, 2**30


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
    reserve: float = _RESERVE

    @property
    def near(self) -> float:
        """The slack that plans use where the error is largest."""
        return self.reserve * min(self.max_target, _MIDPOINT * self.global_target)

    def slack(self, rate: FloatArray, largest: float) -> FloatArray:
        """Return the slack that points may use, given their rates and the largest rate."""
        return np.maximum(self.near, np.minimum(_FAR * self.reserve * self.global_target, largest - rate))

    def may_be_worst(self, rate: FloatArray, largest: float) -> BoolArray:
        """Return where a small slack is surer to be reached than a bound below the largest estimate."""
        close: BoolArray = largest - rate < _UNDECIDED * self.near
        return close


def plan_cells(fisher: FisherCoordinates, cells: Simplices, rates: Rates, too_coarse: TooCoarse) -> Simplices:
    """Bisect the longest edge of cells until none is too coarse.

    Args:
        fisher: coordinates in which edges are measured.
        cells: cells to begin with.
        rates: expected error rates.
        too_coarse: tells which cells to bisect.

    Raises:
        InvalidInputError: if there would be too many cells to keep.
    """
    finished: list[Simplices] = []
    n, n_vertices, dim = cells.vertices.shape
    corners = cells.vertices.reshape(-1, dim)
    rate = rates(corners, np.repeat(cells.null_truth, n_vertices, axis=0)).reshape(n, n_vertices)
    total = 0
    for _ in range(_MAX_DEPTH):
        edge = longest_edge(fisher, cells)
        middle = rates(cells.midpoint(edge), cells.null_truth)
        coarse = too_coarse(cells, rate, edge, middle)
        finished.append(cells.take(~coarse))
        total += len(finished[-1]) + 2 * int(coarse.sum())
        if not coarse.any():
            return Simplices.concatenate(finished)
        if total > _MAX_CELLS:
            break
        rate = _bisected_rates(cells, rate[coarse], edge[coarse], middle[coarse])
        cells = cells.take(coarse).bisect(edge[coarse])
    raise InvalidInputError(
        f"The plan would need over {_MAX_CELLS:,} cells, or very thin ones. Use a smaller region or other targets."
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
        log_target, overshoot, allowance = _overshoot(family, cells.vertices, rate, targets, largest)
        coarse = overshoot > np.minimum(_OVERSHOOT * allowance, _MOST_OVERSHOOT)
        excess = _midpoint_bound(family, cells, log_target - overshoot[:, None], edge) - middle
        return coarse | (excess > _MIDPOINT * targets.global_target)

    return plan_cells(fisher, cells, rates, too_coarse)


def plan_sims(
    family: Family,
    cells: Simplices,
    vertex: IntArray,
    rate: FloatArray,
    error: FloatArray,
    targets: Targets,
    largest: float,
    delta: FloatArray | float,
) -> tuple[IntArray, FloatArray]:
    """Return how often to simulate every vertex: the least for which the expected limit meets its target.

    Args:
        family: distribution of the data.
        cells: planned cells.
        vertex: number of each cell's vertices, shape (cells, dim + 1).
        rate: expected error rates of the vertices, shape (vertices,).
        error: standard errors of these.
        targets: what the certificate should reach.
        largest: the largest expected error rate.
        delta: one minus the confidence of a vertex's limit, a number or shape (vertices,).

    Returns:
        Multiples of 64, shape (vertices,), and the limits that are planned, in the same shape.
    """
    cautious = np.clip(rate + 0.5 * error, 1e-7, 0.999)
    log_target, overshoot, _ = _overshoot(family, cells.vertices, cautious[vertex], targets, largest)
    worst = cautious[vertex].max(axis=1)
    close = targets.may_be_worst(worst, largest)
    overshoot += np.where(close, np.log((worst + targets.slack(worst, largest)) / (worst + targets.near)), 0.0)
    log_upper = np.full(len(rate), np.inf)
    np.minimum.at(log_upper, vertex, log_target - overshoot[:, None])
    upper = np.minimum(np.maximum(np.exp(log_upper), cautious + 0.1 * targets.slack(cautious, largest)), 1.0)
    # where the bound is to stay below the largest estimate, the noise of both decides: keep a margin
    undecided = ~targets.may_be_worst(cautious, largest) & (cautious > largest - 1.5 * targets.global_target)
    sims = sims_for_limit(cautious, upper, delta, np.where(undecided, _MARGIN, 0.0))
    return rounded_sims(sims), upper


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
    return (np.ceil(np.clip(sims, _LEAST_SIMS, _MOST_SIMS) / MULTIPLE) * MULTIPLE).astype(np.int64)


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
    spread = -ndtri(delta) * np.sqrt(upper * (1 - upper)) + margin * np.sqrt(rate * (1 - rate))
    sims = (spread / room) ** 2 + 1 / room
    for _ in range(12):
        likely = np.minimum(rate + margin * np.sqrt(rate * (1 - rate) / sims), 0.999)
        reached = betainccinv(likely * sims + 1, np.maximum(sims * (1 - likely), 1e-9), delta) - rate
        sims = np.clip(sims * np.clip(reached / room, 0.05, 20) ** 1.4, 1.0, 1e15)
    return np.where(possible, sims, np.inf)


def weakest_edge(family: Family, cells: Simplices, log_upper: FloatArray) -> IntArray:
    """Return the position of every cell's edge with the largest interpolated bound at its midpoint, shape (cells,)."""
    edges = np.arange(len(cells.edges))
    bounds = [_midpoint_bound(family, cells, log_upper, np.full(len(cells), edge)) for edge in edges]
    return np.stack(bounds, axis=1).argmax(axis=1)


def _midpoint_bound(family: Family, cells: Simplices, log_upper: FloatArray, edge: IntArray) -> FloatArray:
    """Return the interpolated bound at the midpoint of one edge of every cell."""
    rows, ends = np.arange(len(cells)), np.array(cells.edges)[edge]
    left, right = (cells.vertices[rows, ends[:, side]] for side in (0, 1))
    half, here = (right - left) / 2, cells.midpoint(edge)
    rise = (family.cumulant(here, half) + family.cumulant(here, -half)) / 2
    return np.exp((log_upper[rows, ends[:, 0]] + log_upper[rows, ends[:, 1]]) / 2 + rise)


def _bisected_rates(cells: Simplices, rate: FloatArray, edge: IntArray, middle: FloatArray) -> FloatArray:
    """Return the rates at the vertices of both halves of bisected cells, in the order of `Simplices.bisect`."""
    rows, ends = np.arange(len(rate)), np.array(cells.edges)[edge]
    halves = np.repeat(rate, 2, axis=0)
    halves[2 * rows, ends[:, 1]] = middle
    halves[2 * rows + 1, ends[:, 0]] = middle
    return halves


def _overshoot(
    family: Family, vertices: FloatArray, rate: FloatArray, targets: Targets, largest: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log targets at vertices, by how much the bound overshoots the worst one's, and what it is allowed."""
    log_target = np.log(np.minimum(rate + targets.slack(rate, largest), 1.0))
    worst = rate.argmax(axis=1)
    rows = np.arange(len(rate))
    aim = log_target[rows, worst]
    bound = interpolated_log_bound(family, vertices, log_target)
    return log_target, np.maximum(bound - aim, 0.0), aim - np.log(rate[rows, worst])


def longest_edge(fisher: FisherCoordinates, cells: Simplices) -> IntArray:
    """Return the position of every cell's longest edge in Fisher coordinates, shape (cells,)."""
    places = fisher(cells.vertices)
    lengths = np.stack([((places[:, a] - places[:, b]) ** 2).sum(axis=1) for a, b in cells.edges], axis=1)
    return lengths.argmax(axis=1)
