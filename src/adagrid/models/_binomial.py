"""Numbers of responders: fast draws, and probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from adagrid._typing import FloatArray

# Up to this many patients an arm's count is a sum of comparisons, which vectorises. Above, it is a binary search.
_COMPARE_UP_TO = 128
# Comparisons per iteration of a loop: few enough to compile fast, and enough to make the loop's overhead small.
_AT_ONCE = 5
_LARGEST = 2**32 - 1


def binomial_counts(bits: jax.Array, patients: Sequence[int], logits: jax.Array) -> jax.Array:
    """Return the binomial count of each arm from a 32-bit uniform u: the number of y with F(y) <= u.

    Args:
        bits: uniform 32-bit unsigned integers, shape (arms,).
        patients: patients per arm.
        logits: logits of the response probabilities, float64, shape (arms,).

    Returns:
        int32, shape (arms,).
    """
    if len(set(patients)) == 1:  # one piece of code for all arms
        steps = list(_steps(patients[0], logits))
    else:
        steps = [_steps(n, logits[arm : arm + 1])[0] for arm, n in enumerate(patients)]
    if max(patients) > _COMPARE_UP_TO:
        counts = [jnp.searchsorted(own, bits[arm], side="right") for arm, own in enumerate(steps)]
        return jnp.stack(counts).astype(jnp.int32)
    width = -(-max(patients) // _AT_ONCE) * _AT_ONCE
    padded = jnp.stack([jnp.pad(own, (0, width - len(own)), constant_values=_LARGEST) for own in steps])

    def compare(turn: jax.Array, count: jax.Array) -> jax.Array:
        some = jax.lax.dynamic_slice_in_dim(padded, turn * _AT_ONCE, _AT_ONCE, axis=1)
        for step in range(_AT_ONCE):
            count = count + (bits >= some[:, step]).astype(jnp.uint8)
        return count

    turns, none = np.int32(width // _AT_ONCE), jnp.zeros(len(patients), jnp.uint8)
    count = jax.lax.fori_loop(np.int32(0), turns, compare, none)
    return jnp.minimum(
        count.astype(jnp.int32), np.asarray(patients, np.int32)
    )  # the largest number reaches the padding


def _steps(n: int, logits: jax.Array) -> jax.Array:
    """Return F(0), ..., F(n - 1) of binomial distributions as 32-bit numbers, shape (arms, n)."""
    choose, y = _log_choose(n)[None, :], np.arange(n + 1)[None, :]
    mass = jnp.exp(choose + y * logits[:, None] - n * jax.nn.softplus(logits)[:, None])
    below = jnp.cumsum(mass, axis=1)[:, :-1] / jnp.sum(mass, axis=1, keepdims=True)
    return jnp.minimum(jnp.round(below * 2.0**32), float(_LARGEST)).astype(jnp.uint32)


def binomial_masses(n: int, logit: FloatArray) -> FloatArray:
    """Return the probabilities of every number of responders.

    Args:
        n: patients.
        logit: logits of response probabilities, shape (points,).

    Returns:
        Shape (points, n + 1), with a relative error of some 1e-16 times n.
    """
    y, row = np.arange(n + 1), logit[:, None]
    return np.exp(_log_choose(n) - y * np.logaddexp(0.0, -row) - (n - y) * np.logaddexp(0.0, row))


def _log_choose(n: int) -> FloatArray:
    y = np.arange(n + 1)
    return gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
