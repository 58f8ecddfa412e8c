"""Simulate spots between the certified points, and compare them with the bound that the family allows.

A bound follows from confidence limits at certified points and from the declared family. Here the limits have a level of
one in a million. If the family is right, the truth at a spot exceeds the bound with at most this probability, however
points were chosen. So simulations that exceed the bound contradict the family. This test finds a peak between certified
points that no line has touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.bounds import tilt_bound
from adagrid.estimation import clopper_pearson_lower, clopper_pearson_upper
from adagrid.families import Family
from adagrid.grid import Tiles
from adagrid.grid.simplices import Simplices
from adagrid.refutation.bet import REFUTED
from adagrid.refutation.region import chosen_by, sequence

SPOT_STREAM = 2**20 + 2
"""Seed stream of spots."""

SPOT_SIMS = 1024
"""Simulations at a spot."""

# The largest probability to refute a right family.
LEVEL = float(np.exp(-REFUTED))
# Relative amount that raises limits, because single precision rounds the simulated points.
_ROUNDING = 1e-3
# Factors of the alternatives: all true odds of rejection differ from the computed odds by one of them.
_FACTORS = np.array([0.25, 0.5, 0.8, 1.25, 2.0, 4.0])


@final
@dataclass(frozen=True)
class Spots:
    """Points between certified points, and the largest share of events that the family allows there.

    Args:
        theta: parameters, shape (spots, dim).
        null_truth: null configurations, shape (spots, hypotheses).
        allowed: the largest share that the family allows, shape (spots,).
    """

    theta: FloatArray
    null_truth: BoolArray
    allowed: FloatArray


def spots_in_cells(
    family: Family, cells: Simplices, events: IntArray, n_sims: IntArray, n_spots: int, shift: FloatArray
) -> Spots:
    """Choose spots inside cells, by volume.

    Args:
        family: the declared family.
        cells: the certified cells.
        events: events counted at their vertices, shape (cells, vertices).
        n_sims: simulations there, same shape.
        n_spots: number of spots.
        shift: start of the sequence of spread points, shape (dim + 1,), between 0 and 1.
    """
    unit = sequence(0, n_spots, shift)
    cell = chosen_by(cells.volume, unit[:, 0])
    ordered = np.sort(np.column_stack([np.zeros(n_spots), unit[:, 1:], np.ones(n_spots)]), axis=1)
    weight = np.diff(ordered, axis=1)  # uniform on the simplex
    vertices = cells.vertices[cell]
    theta = np.einsum("sv,svd->sd", weight, vertices)
    upper = clopper_pearson_upper(events[cell], n_sims[cell], LEVEL / (2 * n_spots * weight.shape[1]))
    with np.errstate(divide="ignore"):
        log_bound = weight * (np.log(upper) + family.cumulant(theta[:, None], vertices - theta[:, None]))
    return Spots(theta, cells.null_truth[cell], _raised(np.exp(log_bound.sum(axis=1))))


def spots_in_tiles(family: Family, tiles: Tiles, events: IntArray, n_spots: int, shift: FloatArray) -> Spots:
    """Choose spots inside tiles, by volume.

    Args:
        family: the declared family.
        tiles: the certified tiles.
        events: events counted at their centres, shape (tiles,).
        n_spots: number of spots.
        shift: start of the sequence of spread points, shape (dim + 1,), between 0 and 1.
    """
    unit = sequence(0, n_spots, shift)
    tile = chosen_by(tiles.box_volume, unit[:, 0])
    chosen = tiles.take(tile)
    away = (2 * unit[:, 1:] - 1) * chosen.radius
    upper = clopper_pearson_upper(events[tile], chosen.n_sims, LEVEL / (2 * n_spots))
    limit = tilt_bound(family, chosen.theta, away[:, None], upper)
    return Spots(chosen.theta + away, chosen.null_truth, _raised(limit))


def exceeded(limit: FloatArray, events: IntArray, n_sims: IntArray) -> BoolArray:
    """Return the spots where events are more frequent than the family allows, shape (spots,)."""
    if not len(limit):
        return np.empty(0, bool)
    return clopper_pearson_lower(events, n_sims, LEVEL / (2 * len(limit))) > limit


def log_evidence_against(probability: FloatArray, events: IntArray, n_sims: IntArray, ties: IntArray) -> float:
    """Return the logarithm of an e-value against computed probabilities of events.

    It is the average likelihood ratio of several alternatives. Each alternative multiplies all odds by one factor.

    Args:
        probability: computed probabilities, shape (spots,).
        events: the largest possible counts of events, shape (spots,).
        n_sims: numbers of simulations, shape (spots,).
        ties: numbers of events within rounding of the threshold, shape (spots,). They count in favour of the
            computed probabilities.
    """
    events = np.clip(np.rint(probability * n_sims), events - ties, events).astype(np.int64)
    if ((probability <= 0) & (events > 0)).any() or ((probability >= 1) & (events < n_sims)).any():
        return np.inf
    open_ = (probability > 0) & (probability < 1)
    p, k, n = probability[open_], events[open_], n_sims[open_]
    # the likelihood ratio of odds c p / (1 - p) is c^k / (1 - p + c p)^n
    logs = [float((k * np.log(c) - n * np.log1p((c - 1) * p)).sum()) for c in _FACTORS]
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))


def _raised(limit: FloatArray) -> FloatArray:
    return np.minimum(limit * (1 + _ROUNDING), 1.0)
