"""The interpolated bound: an error probability on a simplex from upper bounds of it at the vertices.

For a function F of the data with values in [0, 1] and mean f(theta) in a canonical exponential family,
f(theta) exp(A(theta)) = integral of F exp(theta . T) dmu is a Laplace transform, so log f + A is convex (Hölder).
Hence for theta = sum_j w_j v_j with w on the simplex, and u_j >= f(v_j),

    log f(theta) <= h(w) = sum_j w_j [log u_j + A(v_j)] - A(sum_j w_j v_j).

h is concave. Its maximum is approached by pairwise Frank-Wolfe steps (Lacoste-Julien and Jaggi 2015, arXiv
1511.05932); at every w, h(w) plus the duality gap max_j s_j - sum_j w_j s_j (s the gradient of h) is a rigorous
upper bound of the maximum, and the least of these is returned: an inexact search costs tightness and never validity.
The tilt bound is the case of two vertices, theta0 with u = a and theta0 + q v with the trivial u = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._programs import Program, shaped
from adagrid._typing import ArrayLike, FloatArray
from adagrid.errors import DomainError, InvalidInputError
from adagrid.families import Family

# Simplices per compiled call, padded: small jobs compile the small size only, large ones make fewer calls.
_SMALL, _LARGE, _LARGE_FROM = 64, 8192, 4096
# Simplices whose gap is below this have finished; the others go on for some rounds of iterations.
_GAP, _ROUNDS, _ITERATIONS, _LINE_SEARCH = 1e-5, 25, 8, 3
# Values of a slope, relative to those at the ends of a line, that are zero but for rounding.
_NEGLIGIBLE = 1e-11
# Units in the last place by which logarithms move to the safe side.
_ULPS = 256 * np.finfo(float).eps


def interpolated_bound(family: Family, vertices: FloatArray, upper: FloatArray) -> FloatArray:
    """Bound a mean everywhere on simplices, from bounds on it at the vertices.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim); any number of vertices whose hull is bounded, repeated
            ones included.
        upper: upper bounds of the mean at the vertices, in [0, 1], shape (simplices, vertices).

    Returns:
        Upper bounds in [max of `upper`, 1], shape (simplices,); 0 where an `upper` is 0, because a function whose
        mean is 0 anywhere is 0 almost everywhere.

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
    """Return the largest multiples of given values at the vertices for which the bound stays within a level.

    Adding a constant to all logarithms adds it to the logarithm of the bound, so the inverse is one evaluation.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        log_shape: logarithms of the values up to a constant per simplex, shape (simplices, vertices).
        level: alpha in (0, 1], shape (simplices,) or a number.

    Returns:
        Levels in (0, 1] at the vertices, shape (simplices, vertices): if the mean is at most these at the
        vertices, it is at most `level` on the simplex.
    """
    excess = interpolated_log_bound(family, vertices, log_shape) - np.log(np.asarray(level, float))
    return np.exp(np.minimum(log_shape - excess[:, None] - _ULPS * (1 + np.abs(log_shape)), 0.0))


def interpolated_log_bound(family: Family, vertices: FloatArray, log_upper: FloatArray) -> FloatArray:
    """Return the logarithm of the interpolated bound, not limited to bounds below 1.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim).
        log_upper: logarithms of upper bounds at the vertices, shape (simplices, vertices).

    Returns:
        Shape (simplices,).

    Raises:
        DomainError: if a vertex is outside the family's natural parameter space.
    """
    n, n_vertices, _ = vertices.shape
    check_inside(family, vertices)
    log_upper = np.maximum(log_upper, -1e4)  # a larger bound is a bound, and infinities are kept out
    weights = np.eye(n_vertices)[log_upper.argmax(axis=1)]
    best, unfinished = np.full(n, np.inf), np.arange(n)
    for _ in range(_ROUNDS):
        going = []
        size = _LARGE if len(unfinished) > _LARGE_FROM else _SMALL
        run = _program(family, size, n_vertices)
        for start in range(0, len(unfinished), size):
            rows = unfinished[start : start + size]
            padded = np.concatenate([rows, np.repeat(rows[:1], size - len(rows))])
            answer = run(vertices[padded], log_upper[padded], weights[padded])
            found, gap, new_weights = (np.asarray(part)[: len(rows)] for part in answer)
            best[rows], weights[rows] = np.minimum(best[rows], found), new_weights
            going.append(rows[~(gap <= _GAP)])
        unfinished = np.concatenate([*going, np.empty(0, np.int64)])
        if not len(unfinished):
            break
    return best


def check_inside(family: Family, vertices: FloatArray) -> None:
    """Refuse vertices outside the natural parameter space."""
    inside = family.contains(vertices)
    if not inside.all():
        vertex = vertices[~inside][0]
        raise DomainError(
            f"Vertices must lie inside the natural parameter space of {family} ({family.coordinates}): "
            f"{family.border(vertex, np.zeros_like(vertex))} at the vertex {vertex.tolist()}. Use a smaller region."
        )


@lru_cache(maxsize=32)
def _program(family: Family, size: int, n_vertices: int) -> Program:
    """Return the program that bounds a block of simplices; looked up by family, because tracing takes its time."""
    vertices, values = (shaped(shape, np.float64) for shape in ((size, n_vertices, family.dim), (size, n_vertices)))
    return Program(partial(_maximise, family), vertices, values, values, double=True)


def _maximise(
    family: Family, vertices: jax.Array, log_upper: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return rigorous upper bounds of the maxima of h, the last gaps and weights, for a block of simplices.

    Parameters are measured from the simplex's middle.
    """
    n = len(vertices)
    middle = vertices.mean(axis=1)
    offsets = vertices - middle[:, None, :]
    traced: Any = family  # its methods take JAX arrays as well
    log_partition: Callable[..., jax.Array] = jax.vmap(traced.log_partition)
    cumulant: Callable[..., jax.Array] = jax.vmap(traced.cumulant)
    gradient: Callable[..., jax.Array] = jax.vmap(jax.grad(traced.log_partition))
    # not by cumulants: near a border of the domain those lose digits, because offsets are off by their last digit
    growth = jax.vmap(log_partition, in_axes=1, out_axes=1)(vertices) - log_partition(middle)[:, None]
    values = log_upper + growth
    rounding = 1.0 + jnp.abs(values).max(axis=1) + jnp.abs(growth).max(axis=1) + jnp.abs(log_partition(middle))
    size = jnp.abs(vertices).max(axis=1)

    def step(_: int, state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        weights, best, _gap = state
        place = jnp.sum(weights[:, :, None] * offsets, axis=1)
        slope = gradient(middle + place)
        scores = values - jnp.sum(slope[:, None, :] * offsets, axis=2)
        top = scores.max(axis=1)
        # K lies above its tangent at any place, so this is a bound whatever the weights are
        tangent = jnp.sum(slope * place, axis=1) - cumulant(middle, place)
        # what offsets and place that are off by their last digits may change
        steepness = jnp.sum(jnp.abs(slope) * size, axis=1)
        best = jnp.fmin(best, top + tangent + _ULPS * steepness)
        gap = top - jnp.sum(weights * scores, axis=1)
        # towards the best vertex, away from the worst one that has weight; equal ones share
        held = jnp.where(weights > 0, scores, jnp.inf)
        towards = (scores == top[:, None]).astype(scores.dtype)
        towards = towards / jnp.sum(towards, axis=1, keepdims=True)
        away = jnp.where(held == held.min(axis=1, keepdims=True), weights, 0.0)
        room = jnp.sum(away, axis=1)
        change = towards - away / room[:, None]
        gain = jnp.sum(change * values, axis=1)
        move = jnp.sum(change[:, :, None] * offsets, axis=1)

        def rise(share: jax.Array) -> jax.Array:
            return gain - jnp.sum(gradient(middle + place + share[:, None] * move) * move, axis=1)

        share = _root(rise, jnp.sum(change * scores, axis=1), room)
        return jnp.maximum(weights + share[:, None] * change, 0.0), best, gap

    infinite = jnp.full(n, jnp.inf)
    weights, best, gap = jax.lax.fori_loop(0, _ITERATIONS, step, (weights, infinite, infinite))
    return best + _ULPS * rounding, gap, weights


def _root(rise: Callable[[jax.Array], jax.Array], at_zero: jax.Array, room: jax.Array) -> jax.Array:
    """Return where a decreasing function crosses zero between 0 and `room`, or `room` if it does not."""
    at_end = rise(room)

    def secant(low: jax.Array, high: jax.Array, at_low: jax.Array, at_high: jax.Array) -> jax.Array:
        return low + (high - low) * at_low / jnp.where(at_low == at_high, 1.0, at_low - at_high)

    # A value that is zero but for rounding may have either sign, and another one where the compiler computes it again
    # for another use: the bracket would lose the root. Such values are made zero, and bracket ends move in one piece.
    negligible = _NEGLIGIBLE * (jnp.abs(at_zero) + jnp.abs(at_end))

    def narrow(_: int, bracket: jax.Array) -> jax.Array:
        low, high, at_low, at_high = bracket
        guess = jnp.clip(secant(low, high, at_low, at_high), low, high)
        value = rise(guess)
        value = jnp.where(jnp.abs(value) <= negligible, 0.0, value)
        there = jnp.stack([guess, high, value, at_high]), jnp.stack([low, guess, at_low, value])
        exact = jnp.stack([guess, guess, value, value])
        return jnp.where(value == 0, exact, jnp.where(value > 0, *there))

    bracket = jnp.stack([jnp.zeros_like(room), room, at_zero, at_end])
    low, high, at_low, at_high = jax.lax.fori_loop(0, _LINE_SEARCH - 1, narrow, bracket)
    return jnp.where(at_end >= 0, room, jnp.clip(secant(low, high, at_low, at_high), low, high))
