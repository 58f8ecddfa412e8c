"""What an interpolated bound has to reach: a second computation, for checks of certificates.

With h as in `interpolated`, exp(h(w)) at any w is a value that the mean may have between the vertices as far as their
bounds tell, so a valid bound is at least that large. h is climbed here by steps between two vertices, with slopes from
differences. An inexact climb makes a check weaker, never wrong. This shares no code with the bound itself, and needs
no JAX.
"""

from __future__ import annotations

import numpy as np

from adagrid._typing import FloatArray
from adagrid.families import Family

# Simplices that can gain less than this have finished; the others go on for some steps.
_GAP, _STEPS = 1e-6, 200
# Share of the way to a vertex over which slopes are taken, and simplices that are climbed at once.
_SHARE, _SLICE = 1e-3, 4096


def interpolated_reach(family: Family, vertices: FloatArray, upper: FloatArray) -> FloatArray:
    """Return what a bound of a mean on simplices must reach, given bounds at their vertices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        upper: upper bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).

    Returns:
        Shape (simplices,), at most `interpolated_bound` and in general less than 1e-5 of it below.
    """
    reach = np.empty(len(vertices))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # extreme simplices are climbed less far
        for begin in range(0, len(vertices), _SLICE):
            part = slice(begin, begin + _SLICE)
            reach[part] = _climbed(family, vertices[part], np.maximum(np.log(upper[part]), -1e4))
    return np.where((upper <= 0).any(axis=1), 0.0, np.exp(np.minimum(reach, 0.0)))


def _climbed(family: Family, vertices: FloatArray, log_upper: FloatArray) -> FloatArray:
    """Return the largest value of h that was met on each simplex."""
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
    """Return the slopes of h towards the vertices, shape (simplices, vertices), from differences on the way there."""
    place = (weights[:, :, None] * offsets).sum(axis=1)[:, None, :]
    way, here = _SHARE * (offsets - place), middle[:, None, :] + place
    growth = (4 * family.cumulant(here, way) - family.cumulant(here, 2 * way)) / (2 * _SHARE)
    return values - (weights * values).sum(axis=1, keepdims=True) - growth


def _step(
    family: Family, middle: FloatArray, offsets: FloatArray, values: FloatArray, weights: FloatArray, slopes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Move weight from the vertex with the least slope to the one with the largest, as a parabola suggests.

    Returns:
        The weights, and h there or at the end of the way, whichever is larger.
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
