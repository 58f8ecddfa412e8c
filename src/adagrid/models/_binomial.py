"""Numbers of responders: how they are drawn fast, and how probable they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from adagrid._typing import FloatArray

# Up to this many patients an arm's count is a sum of comparisons, which vectorises; beyond, a binary search.
_COMPARE_UP_TO = 128


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
    count = jnp.zeros((), jnp.int32)
    for step in range(n):
        count = count + (bits >= steps[step]).astype(jnp.int32)
    return count


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
