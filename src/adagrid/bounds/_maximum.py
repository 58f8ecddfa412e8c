"""The maximum of h on blocks of simplices, compiled by JAX; see `interpolated` for what h is."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._programs import Program, as_numpy, shaped
from adagrid._typing import FloatArray
from adagrid.families import Family

# Iterations of one call, and of the search along a line in each.
_ITERATIONS, _LINE_SEARCH = 8, 3
# A slope this small, relative to the slopes at the ends of the line, is zero up to rounding.
_NEGLIGIBLE = 1e-11
# Units in the last place by which logarithms move to the safe side.
_ULPS = 256 * np.finfo(float).eps


def maximum(
    family: Family, vertices: FloatArray, log_upper: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bound the maxima of h after a fixed number of iterations.

    The returned gaps and weights let the caller continue the iterations.

    Args:
        family: distribution of the data.
        vertices: shape (simplices, vertices, dim); one program is compiled for every such shape.
        log_upper: logarithms of upper bounds at the vertices, shape (simplices, vertices).
        weights: starting points, shape (simplices, vertices).

    Returns:
        Rigorous upper bounds and gaps, shape (simplices,); weights, shape (simplices, vertices).
    """
    bound, gap, weights = _program(family, *vertices.shape[:2])(vertices, log_upper, weights)
    return as_numpy(bound), as_numpy(gap), as_numpy(weights)


@lru_cache(maxsize=32)
def _program(family: Family, size: int, n_vertices: int) -> Program:
    """Return the compiled program for blocks of one shape; cached, because tracing is slow."""
    vertices, values = (shaped(shape, np.float64) for shape in ((size, n_vertices, family.dim), (size, n_vertices)))
    return Program(partial(_maximise, family), vertices, values, values, double=True)


def _maximise(
    family: Family, vertices: jax.Array, log_upper: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return upper bounds of the maxima of h, gaps and weights.

    The simplex's middle is the origin of all parameters.
    """
    n = len(vertices)
    middle = vertices.mean(axis=1)
    offsets = vertices - middle[:, None, :]
    traced: Any = family  # its methods take JAX arrays as well
    log_partition: Callable[..., jax.Array] = jax.vmap(traced.log_partition)
    cumulant: Callable[..., jax.Array] = jax.vmap(traced.cumulant)
    gradient: Callable[..., jax.Array] = jax.vmap(jax.grad(traced.log_partition))
    # Not by cumulants, which lose digits near a border of the domain, because offsets are rounded.
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
        # K lies above each of its tangents, so this is a bound for all weights.
        tangent = jnp.sum(slope * place, axis=1) - cumulant(middle, place)
        # Effect of rounding in the offsets and in `place`.
        steepness = jnp.sum(jnp.abs(slope) * size, axis=1)
        best = jnp.fmin(best, top + tangent + _ULPS * steepness)
        gap = top - jnp.sum(weights * scores, axis=1)
        # Move towards the best vertex and away from the worst vertex with weight; ties share the move.
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
    """Return the root of a decreasing function in [0, room], or `room`."""
    at_end = rise(room)

    def secant(low: jax.Array, high: jax.Array, at_low: jax.Array, at_high: jax.Array) -> jax.Array:
        return low + (high - low) * at_low / jnp.where(at_low == at_high, 1.0, at_low - at_high)

    # A value that is zero up to rounding may have either sign. The compiler may compute it twice, with both signs, and
    # the bracket would lose the root. So such values become zero, and both ends of a bracket move together.
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
