"""Numbers of responders: how they are drawn fast, and how probable they are."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from adagrid._typing import FloatArray

# Up to this many patients an arm's count is a sum of comparisons, which vectorises; beyond, a binary search.
_COMPARE_UP_TO = 128
# Comparisons per turn of a loop: few enough to compile fast, enough that a turn costs little.
_AT_ONCE = 5


def binomial_counts(bits: jax.Array, patients: Sequence[int], logits: jax.Array) -> jax.Array:
    """Return the binomial count of every arm; see `binomial_count`.

    Args:
        bits: uniform 32-bit unsigned integers, shape (arms,).
        patients: patients per arm.
        logits: logits of the response probabilities, float64, shape (arms,).

    Returns:
        int32, shape (arms,).
    """
    if len(set(patients)) == 1:  # one piece of code for all arms
        return jax.vmap(lambda arm, logit: binomial_count(arm, patients[0], logit))(bits, logits)
    return jnp.stack([binomial_count(bits[arm], n, logits[arm]) for arm, n in enumerate(patients)])


def binomial_count(bits: jax.Array, n: int, logit: jax.Array) -> jax.Array:
    """Return the binomial count at which a 32-bit uniform falls: the number of y with F(y) <= u.

    Args:
        bits: uniform 32-bit unsigned integer.
        n: patients.
        logit: logit of the response probability, float64.
    """
    mass = jnp.exp(_log_choose(n) + np.arange(n + 1) * logit - n * jax.nn.softplus(logit))
    below = jnp.cumsum(mass)[:-1] / jnp.sum(mass)
    steps = jnp.minimum(jnp.round(below * 2.0**32), 2.0**32 - 1).astype(jnp.uint32)
    if n > _COMPARE_UP_TO:
        return jnp.searchsorted(steps, bits, side="right").astype(jnp.int32)
    turns = -(-n // _AT_ONCE)
    padded = jnp.full(turns * _AT_ONCE, 2**32 - 1, jnp.uint32).at[:n].set(steps)

    def compare(turn: jax.Array, count: jax.Array) -> jax.Array:
        some = jax.lax.dynamic_slice(padded, (turn * _AT_ONCE,), (_AT_ONCE,))
        for step in range(_AT_ONCE):
            count = count + (bits >= some[step]).astype(jnp.uint8)
        return count

    count = jax.lax.fori_loop(np.int32(0), np.int32(turns), compare, jnp.zeros((), jnp.uint8))
    return jnp.minimum(count.astype(jnp.int32), n)  # the largest number is not below the padding


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
