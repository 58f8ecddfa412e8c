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

TooCoarse: TypeAlias = Callable[[Simplices, FloatArray], BoolArray]
"""Which cells to bisect, given them and the expected rates at their vertices (cells, dim + 1)."""

# Shares of the targets: what far tiles may use, what is kept in reserve, and how the allowance is divided.
_FAR, _RESERVE, _OVERSHOOT, _MIDPOINT = 0.7, 0.97, 0.3, 0.9
_MOST_OVERSHOOT = 0.7
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

    def slack(self, rate: FloatArray, largest: float) -> FloatArray:
        """Return the slack that points may use, given their rates and the largest rate."""
        near, far = self.reserve * self.max_target, self.reserve * self.global_target
        return np.maximum(near, np.minimum(_FAR * far, largest - rate))


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
    rate, total = _at_vertices(rates, cells), 0
    for _ in range(_MAX_DEPTH):
        coarse = too_coarse(cells, rate)
        finished.append(cells.take(~coarse))
        total += len(finished[-1])
        cells, rate = cells.take(coarse), rate[coarse]
        if not len(cells):
            break
        if total + 2 * len(cells) > _MAX_CELLS:
            raise InvalidInputError(
                f"The plan would need more than {_MAX_CELLS:,} cells. Use a smaller region or looser targets."
            )
        cells = cells.bisect(longest_edge(fisher, cells))
        rate = _at_vertices(rates, cells)
    return Simplices.concatenate([*finished, cells])


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
    return plan_cells(
        fisher, cells, rates, lambda cells, rate: _too_coarse(family, cells, rate, rates, targets, largest)
    )


def plan_sims(
    family: Family,
    cells: Simplices,
    vertex: IntArray,
    rate: FloatArray,
    error: FloatArray,
    targets: Targets,
    largest: float,
    delta: FloatArray | float,
) -> IntArray:
    """Return how often to simulate every vertex: the least for which the expected limit meets its target.

    Args:
        family: distribution of the data.
        cells: planned cells.
        vertex: number of each cell's vertices, shape (cells, dim + 1).
        rate: expected error rates of the vertices, shape (vertices,).
        error: standard errors of these.
        targets: what the certificate should reach.
        largest: the largest expected error rate.
        delta: one minus the confidence of a vertex's limit.

    Returns:
        Multiples of 64, shape (vertices,).
    """
    cautious = np.clip(rate + 0.5 * error, 1e-7, 0.999)
    log_target, overshoot, _ = _overshoot(family, cells.vertices, cautious[vertex], targets, largest)
    log_upper = np.full(len(rate), np.inf)
    np.minimum.at(log_upper, vertex, log_target - overshoot[:, None])
    upper = np.maximum(np.exp(log_upper), cautious + 0.1 * targets.slack(cautious, largest))
    # between clearly worst and clearly not, the estimate's own noise decides on the target: keep a margin
    undecided = (cautious < largest - targets.max_target) & (cautious > largest - 1.5 * targets.global_target)
    sims = sims_for_limit(cautious, upper, delta, np.where(undecided, 1.0, 0.0))
    return rounded_sims(sims)


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


def excess_at_midpoints(family: Family, cells: Simplices, log_upper: FloatArray, rates: Rates) -> FloatArray:
    """Return how far the interpolated bound at midpoints of edges exceeds the expected rate there, at most.

    Args:
        family: distribution of the data.
        cells: cells.
        log_upper: logarithms of the upper bounds at the vertices, shape (cells, dim + 1).
        rates: expected error rates.
    """
    middle = cells.midpoints()
    n, n_edges, dim = middle.shape
    expected = rates(middle.reshape(-1, dim), np.repeat(cells.null_truth, n_edges, axis=0)).reshape(n, n_edges)
    worst = np.full(n, -np.inf)
    for e, (a, b) in enumerate(cells.edges):
        half = (cells.vertices[:, b] - cells.vertices[:, a]) / 2
        here = middle[:, e]
        rise = (family.cumulant(here, half) + family.cumulant(here, -half)) / 2
        bound = np.exp((log_upper[:, a] + log_upper[:, b]) / 2 + rise)
        worst = np.maximum(worst, bound - expected[:, e])
    return worst


def _too_coarse(
    family: Family, cells: Simplices, rate: FloatArray, rates: Rates, targets: Targets, largest: float
) -> BoolArray:
    log_target, overshoot, allowance = _overshoot(family, cells.vertices, rate, targets, largest)
    coarse = overshoot > np.minimum(_OVERSHOOT * allowance, _MOST_OVERSHOOT)
    unsure = np.flatnonzero(~coarse)
    excess = excess_at_midpoints(family, cells.take(unsure), log_target[unsure] - overshoot[unsure, None], rates)
    coarse[unsure] = excess > _MIDPOINT * targets.global_target
    return coarse


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


def _at_vertices(rates: Rates, cells: Simplices) -> FloatArray:
    n, n_vertices, dim = cells.vertices.shape
    truth = np.repeat(cells.null_truth, n_vertices, axis=0)
    return rates(cells.vertices.reshape(-1, dim), truth).reshape(n, n_vertices)
