"""Values that a valid interpolated bound cannot be below.

Checks of certificates use this second computation.

With h as in `interpolated`, the bounds at the vertices permit the mean exp(h(w)) at every w. So a valid bound is at
least exp(h(w)). This module climbs h by steps between two vertices, with slopes from differences. An inexact climb
makes a check weaker, never wrong. The module shares no code with the bound, and needs no JAX.
"""

from __future__ import annotations

import numpy as np

from adagrid._typing import FloatArray
from adagrid.families import Family

# A simplex is finished once its steepest slope is below _GAP; unfinished ones get at most _STEPS steps.
_GAP, _STEPS = 1e-6, 200
# Slopes are differences over this share of the way to a vertex; this many simplices are climbed at once.
_SHARE, _SLICE = 1e-3, 4096


def interpolated_reach(family: Family, vertices: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the least value of a valid bound on simplices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        upper: upper bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).

    Returns:
        Shape (simplices,). Values are at most `interpolated_bound`, in general by a relative difference below 1e-5.
    """
    reach = np.empty(len(vertices))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # on extreme simplices the climb ends early
        for begin in range(0, len(vertices), _SLICE):
            part = slice(begin, begin + _SLICE)
            reach[part] = _climbed(family, vertices[part], np.maximum(np.log(upper[part]), -1e4))
    return np.where((upper <= 0).any(axis=1), 0.0, np.exp(np.minimum(reach, 0.0)))


def _climbed(family: Family, vertices: FloatArray, log_upper: FloatArray) -> FloatArray:
    """Return the largest value of h found on each simplex."""
    middle = vertices.mean(axis=1)
    offsets = vertices - middle[:, None, :]
    values = log_upper + family.log_partition(vertices) - family.log_partition(middle)[:, None]
    weights = np.eye(vertices.shape[1])[log_upper.argmax(axis=1)]
    best, rows = log_upper.max(axis=1), np.arange(len(vertices))
    for _ in range(_STEPS):
        slopes = _slopes(family, middle[rows], offsets[rows], values[rows], weights[rows])
        rising = slopes.max(axis=1) > _GAP
        if not rising.any():
            break
        rows, slopes = rows[rising], slopes[rising]
        there = family, middle[rows], offsets[rows], values[rows]
        weights[rows], height = _step(*there, weights[rows], slopes)
        best[rows] = np.fmax(best[rows], height)
    return best


def _height(
    family: Family, middle: FloatArray, offsets: FloatArray, values: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return h, shape (simplices,)."""
    place = (weights[:, :, None] * offsets).sum(axis=1)
    return (weights * values).sum(axis=1) - family.cumulant(middle, place)


def _slopes(
    family: Family, middle: FloatArray, offsets: FloatArray, values: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the slopes of h towards the vertices, from differences.

    Returns:
        Shape (simplices, vertices).
    """
    place = (weights[:, :, None] * offsets).sum(axis=1)[:, None, :]
    way, here = _SHARE * (offsets - place), middle[:, None, :] + place
    growth = (4 * family.cumulant(here, way) - family.cumulant(here, 2 * way)) / (2 * _SHARE)
    return values - (weights * values).sum(axis=1, keepdims=True) - growth


def _step(
    family: Family, middle: FloatArray, offsets: FloatArray, values: FloatArray, weights: FloatArray, slopes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Move weight from the vertex with the least slope to the steepest.

    A parabola through known heights suggests how much.

    Returns:
        The new weights, and the larger of h at the new weights and h after a full move.
    """
    rows = np.arange(len(weights))
    towards, away = slopes.argmax(axis=1), np.where(weights > 0, slopes, np.inf).argmin(axis=1)
    there = family, middle, offsets, values

    def moved(share: FloatArray) -> FloatArray:
        result = weights.copy()
        result[rows, towards] += share
        result[rows, away] -= share
        return np.maximum(result, 0.0)

    room = weights[rows, away]
    rise = (slopes[rows, towards] - slopes[rows, away]) * room
    start, end = _height(*there, weights), _height(*there, moved(room))
    share = np.where(end - start > rise / 2, 1.0, rise / (2 * (rise - end + start)))
    share = np.where(np.isfinite(share), share, 0.5)
    height = _height(*there, moved(share * room))
    share = np.where(height >= start, share, share / 4)
    return moved(share * room), np.fmax(height, end)
