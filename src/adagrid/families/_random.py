"""Chance numbers of one trial: the one module of families that imports JAX. Load it where data are drawn.

Numbers have the default precision of JAX, which the engine sets to the design's. No exponential or gamma number is 0 or
infinite, and both tails of the logistic and the exponential distribution are fine to 2^-33 in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._typing import FloatArray

Numbers: TypeAlias = Any
"""An array of JAX. Families use the methods that arrays of NumPy have as well, and are typed for these."""


def split(key: jax.Array, count: int) -> list[jax.Array]:
    """Return independent keys."""
    return list(jax.random.split(key, count))


def by_arm(numbers: jax.Array, sizes: Sequence[int]) -> tuple[Numbers, ...]:
    """Return the numbers of every arm: the first `sizes[0]`, the next `sizes[1]`, and so on."""
    return tuple(jnp.split(numbers, np.cumsum(sizes)[:-1].tolist()))


def normal(key: jax.Array, size: int | tuple[int, ...]) -> Numbers:
    """Return standard normal numbers."""
    return jax.random.normal(key, (size,) if isinstance(size, int) else size)


def logistic(key: jax.Array, size: int) -> Numbers:
    """Return logistic numbers: below x with probability 1 / (1 + exp(-x))."""
    low, coin = _halves(key, size)
    below = jnp.log(low) - jnp.log1p(-low)
    return jnp.where(coin, below, -below)


def exponential(key: jax.Array, size: int) -> Numbers:
    """Return exponential numbers with mean 1, above zero."""
    low, coin = _halves(key, size)
    return -jnp.where(coin, jnp.log(low), jnp.log1p(-low))


def gamma(key: jax.Array, shape: FloatArray) -> Numbers:
    """Return gamma numbers with the given shapes and a rate of 1, above zero, one for each shape."""
    numbers = jax.random.gamma(key, jnp.asarray(shape, _real()))
    return jnp.maximum(numbers, np.finfo(numbers.dtype).tiny)


def poisson(key: jax.Array, mean: Numbers) -> Numbers:
    """Return Poisson counts, one for each mean."""
    return jax.random.poisson(key, mean)


def _halves(key: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Return uniform numbers u between 0 and 1/2, never 0, and fair coins, which choose between u and 1 - u.

    Both ends are as fine as numbers near zero are; a uniform number itself is rounded to 1 too often.
    """
    real = _real()
    width = np.finfo(real).bits
    bits = jax.random.bits(key, (size,), f"uint{width}")
    return ((bits >> 1).astype(real) + 0.5) * 2.0**-width, (bits & 1) == 1


def _real() -> jnp.dtype:
    return jnp.zeros(()).dtype
