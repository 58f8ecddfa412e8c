"""The interpolated bound: from the vertices of a simplex to the whole simplex.

For a function F of the data with values in [0, 1] and mean f(theta) in a canonical exponential family,
f(theta) exp(A(theta)) = integral of F exp(theta . T) dmu is a Laplace transform, so log f + A is convex (Hölder).
Hence for theta = sum_j w_j v_j with w on the simplex, and u_j >= f(v_j),

    log f(theta) <= h(w) = sum_j w_j [log u_j + A(v_j)] - A(sum_j w_j v_j).

h is concave. Its maximum is approached by pairwise Frank-Wolfe steps (Lacoste-Julien and Jaggi 2015, arXiv
1511.05932); at every w, h(w) plus the duality gap max_j s_j - sum_j w_j s_j (s the gradient of h) is a rigorous
upper bound of the maximum. The code returns the least of these bounds, so an inexact search costs tightness and never
validity.
The tilt bound is the case of two vertices, theta0 with u = a and theta0 + q v with the trivial u = 1.
"""

from __future__ import annotations

import numpy as np

from adagrid._deadline import check_time
from adagrid._typing import ArrayLike, FloatArray
from adagrid.errors import DomainError, InvalidInputError
from adagrid.families import Family

# Simplices per compiled call, padded. Small jobs compile the small size only; large jobs make fewer calls.
_SMALL, _LARGE, _LARGE_FROM = 64, 8192, 4096
# A simplex is finished once its gap is below _GAP; unfinished ones get at most _ROUNDS rounds of iterations.
_GAP, _ROUNDS = 1e-5, 25
# Units in the last place by which logarithms move to the safe side.
_ULPS = 256 * np.finfo(float).eps


def interpolated_bound(family: Family, vertices: FloatArray, upper: FloatArray) -> FloatArray:
    """Bound a mean on simplices from bounds at their vertices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim); any number of vertices, also repeated ones.
        upper: upper bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).

    Returns:
        Upper bounds in [max of `upper`, 1], shape (simplices,). A bound is 0 if `upper` is 0 at a vertex, because a
        function of the data with mean 0 at one point is 0 almost everywhere.

    Raises:
        InvalidInputError: if `upper` leaves [0, 1].
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    if not ((upper >= 0) & (upper <= 1)).all():
        raise InvalidInputError("Upper bounds of a mean of values in [0, 1] must be in [0, 1].")
    with np.errstate(divide="ignore"):
        log_bound = interpolated_log_bound(family, vertices, np.log(upper))
    bound = np.clip(np.exp(np.minimum(log_bound, 0.0)), upper.max(axis=1, initial=0.0), 1.0)
    return np.where((upper <= 0).any(axis=1), 0.0, bound)


def interpolated_levels(family: Family, vertices: FloatArray, log_shape: FloatArray, level: ArrayLike) -> FloatArray:
    """Invert the bound: scale values at the vertices to a level.

    The values are the largest multiples of the given ones whose interpolated bound is at most the level. A constant
    added to all logarithms adds to the logarithm of the bound, so the inverse needs one evaluation.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        log_shape: logarithms of the values up to a constant per simplex, shape (simplices, vertices).
        level: alpha in (0, 1], shape (simplices,) or a number.

    Returns:
        Levels in (0, 1] at the vertices, shape (simplices, vertices). A mean within these levels at the vertices is at
        most `level` on the whole simplex.
    """
    excess = interpolated_log_bound(family, vertices, log_shape) - np.log(np.asarray(level, float))
    return np.exp(np.minimum(log_shape - excess[:, None] - _ULPS * (1 + np.abs(log_shape)), 0.0))


def interpolated_log_bound(family: Family, vertices: FloatArray, log_upper: FloatArray) -> FloatArray:
    """Return the logarithm of the interpolated bound, which may exceed 0.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        log_upper: logarithms of upper bounds at the vertices, shape (simplices, vertices).

    Returns:
        Shape (simplices,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    from adagrid.bounds._maximum import maximum  # loads JAX

    n, n_vertices, _ = vertices.shape
    check_inside(family, vertices)
    log_upper = np.maximum(log_upper, -1e4)  # Larger bounds stay valid, and infinities would make NaN
    weights = np.eye(n_vertices)[log_upper.argmax(axis=1)]
    best, unfinished = np.full(n, np.inf), np.arange(n)
    for _ in range(_ROUNDS):
        going = []
        size = _LARGE if len(unfinished) > _LARGE_FROM else _SMALL
        for start in range(0, len(unfinished), size):
            check_time()
            rows = unfinished[start : start + size]
            padded = np.concatenate([rows, np.repeat(rows[:1], size - len(rows))])
            answer = maximum(family, vertices[padded], log_upper[padded], weights[padded])
            found, gap, new_weights = (part[: len(rows)] for part in answer)
            best[rows], weights[rows] = np.minimum(best[rows], found), new_weights
            going.append(rows[~(gap <= _GAP)])
        unfinished = np.concatenate([*going, np.empty(0, np.int64)])
        if not len(unfinished):
            break
    return best


def check_inside(family: Family, vertices: FloatArray) -> None:
    """Raise DomainError for vertices outside the natural parameter space."""
    inside = family.contains(vertices)
    if not inside.all():
        vertex = vertices[~inside][0]
        raise DomainError(
            f"Vertices must lie inside the natural parameter space of {family} ({family.coordinates}): "
            f"{family.border(vertex, np.zeros_like(vertex))} at the vertex {vertex.tolist()}. Use a smaller region."
        )
