"""Two-parameter slices of tiles and cells as triangles, fine enough to draw what varies within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from adagrid._typing import FloatArray, IntArray

# How near a slice a vertex counts as on it, relative to the coordinates.
_NEAR = 1e-12
# Digits, relative to all that is drawn, to which places are the same.
_DIGITS = 9


@final
@dataclass(frozen=True)
class Mesh:
    """Values at the nodes of triangles.

    Args:
        place: where the nodes are, shape (nodes, 2).
        bound: the values, shape (nodes,).
        triangle: which nodes belong to each triangle, shape (triangles, 3).
    """

    place: FloatArray
    bound: FloatArray
    triangle: IntArray


def slice_polytopes(
    polytopes: Sequence[FloatArray], shown: Sequence[int], at: Mapping[int, float]
) -> tuple[IntArray, Sequence[FloatArray]]:
    """Return the parts of convex polytopes where some parameters have given values, as triangles.

    Args:
        polytopes: vertices of each, shape (vertices, dim).
        shown: the two parameters that are left.
        at: the values of all others, by number.

    Returns:
        For each triangle the number of the polytope that it is part of, shape (triangles,), and its corners as weighted
        means of that polytope's vertices: weights of shape (3, vertices).
    """
    owner, corners = [], []
    for number, vertices in enumerate(polytopes):
        weights = _slice(vertices, at)
        for triple in _fan((weights @ vertices)[:, list(shown)]):
            owner.append(number)
            corners.append(weights[triple])
    return np.array(owner, np.int64), corners


def _slice(vertices: FloatArray, at: Mapping[int, float]) -> FloatArray:
    """Return weights of points whose hull is the slice, shape (points, vertices)."""
    weights = np.eye(len(vertices))
    for axis, value in at.items():
        height = weights @ vertices[:, axis] - value
        near = _NEAR * (abs(value) + np.abs(vertices[:, axis]).max())
        below, above = np.flatnonzero(height < -near), np.flatnonzero(height > near)
        i, j = (ends.ravel() for ends in np.meshgrid(below, above, indexing="ij"))
        share = (height[j] / (height[j] - height[i]))[:, None]  # of every pair: what is not an edge lies inside
        weights = np.concatenate([weights[np.abs(height) <= near], share * weights[i] + (1 - share) * weights[j]])
    return weights


def _fan(corners: FloatArray) -> IntArray:
    """Return the triangles, from one corner, of the hull of points in the plane; none if it is flat."""
    if len(corners) < 3:
        return np.empty((0, 3), np.int64)
    extent = np.maximum(np.ptp(corners, axis=0), np.finfo(float).tiny)
    try:
        around = ConvexHull((corners - corners.min(axis=0)) / extent).vertices
    except QhullError:
        return np.empty((0, 3), np.int64)
    first = np.full(len(around) - 2, around[0])
    return np.stack([first, around[1:-1], around[2:]], axis=1).astype(np.int64)


def lattice(n: int) -> tuple[FloatArray, IntArray]:
    """Cut a triangle into n^2 alike.

    Returns:
        Weights of its corners at the nodes, shape (nodes, 3), and the nodes of each small triangle, shape (n^2, 3).
    """
    i, j = (index.ravel() for index in np.indices((n + 1, n + 1)))
    inside = i + j <= n
    number = np.cumsum(inside).reshape(n + 1, n + 1) - 1
    i, j = i[inside], j[inside]
    nodes = np.stack([n - i - j, i, j], axis=1) / n
    up, down = i + j < n, i + j < n - 1
    first = np.stack([number[i[up], j[up]], number[i[up] + 1, j[up]], number[i[up], j[up] + 1]], axis=1)
    i, j = i[down], j[down]
    second = np.stack([number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]], axis=1)
    return nodes, np.concatenate([first, second])


def merge_nodes(mesh: Mesh, group: IntArray) -> Mesh:
    """Make nodes of a group at the same place one, with the largest of their values.

    Args:
        mesh: the nodes and triangles.
        group: what each node belongs to, shape (nodes,).
    """
    if not len(group):
        return mesh
    rounded = np.round((mesh.place - mesh.place.min(axis=0)) / np.ptp(mesh.place, axis=0), _DIGITS)
    _, first, of = np.unique(np.column_stack([group, rounded]), axis=0, return_index=True, return_inverse=True)
    largest = np.full(len(first), -np.inf)
    np.maximum.at(largest, of.ravel(), mesh.bound)
    return Mesh(mesh.place[first], largest, of.ravel()[mesh.triangle])
