"""A quick estimate of the interpolated bound, for plans only."""

from __future__ import annotations

import itertools

import numpy as np

from adagrid._typing import FloatArray
from adagrid.families import Family

# Sweeps over the edges of a simplex, and simplices whose working set fits in cache.
_SWEEPS, _SLICE = 3, 4096
# Bends below this are rounding errors of those that are zero.
_FLAT = 1e-200


def estimated_log_bound(family: Family, vertices: FloatArray, log_upper: FloatArray) -> FloatArray:
    """Return about the logarithm of the interpolated bound, several times faster than `interpolated_log_bound`.

    The log-partition is taken for the quadratic function that agrees with it at vertices and at midpoints of edges:
    what is maximised over weights w is then log_upper . w + sum of bend_ab w_a w_b over edges, along one edge after the
    other.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        log_upper: logarithms of upper bounds at the vertices, shape (simplices, vertices).

    Returns:
        Shape (simplices,). No bound: right to a few percent of what it adds to the largest of `log_upper` where
        simplices are not much larger than a standard error.
    """
    found = np.empty(len(vertices))
    for begin in range(0, len(found), _SLICE):
        part = slice(begin, begin + _SLICE)
        found[part] = _estimated(family, vertices[part], np.ascontiguousarray(log_upper[part].T))
    return found


def _estimated(family: Family, vertices: FloatArray, values: FloatArray) -> FloatArray:
    """Return estimates of a slice, with log_upper in shape (vertices, simplices)."""
    n_vertices, n = values.shape
    bend = np.zeros((n_vertices, n_vertices, n))
    at_vertices = family.log_partition(vertices).T
    edges = list(itertools.combinations(range(n_vertices), 2))
    for a, b in edges:
        middle = family.log_partition((vertices[:, a] + vertices[:, b]) / 2)
        bend[a, b] = bend[b, a] = 2 * (at_vertices[a] + at_vertices[b]) - 4 * middle
    start, rows = values.argmax(axis=0), np.arange(n)
    weights = np.zeros_like(values)
    weights[start, rows] = 1.0
    slope = values + bend[start, :, rows].T
    for _ in range(_SWEEPS):
        for a, b in edges:
            best = (slope[a] - slope[b]) / np.maximum(2 * bend[a, b], _FLAT)
            step = np.clip(best, -weights[a], weights[b])
            weights[a] += step
            weights[b] -= step
            slope += step * (bend[a] - bend[b])
    return ((values + slope) * weights).sum(axis=0) / 2
