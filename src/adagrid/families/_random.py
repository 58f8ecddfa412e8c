"""Random numbers of one trial.

This is the only module of families that imports JAX: import it where data are drawn. Numbers have the default precision
of JAX, which the engine sets to the design's. No exponential or gamma number is 0 or infinite. In single precision,
both tails of the logistic and the exponential distribution have a resolution of 2^-33.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._typing import FloatArray

Numbers: TypeAlias = Any
"""JAX array. Families use only the methods that NumPy arrays share, and their types name NumPy arrays."""


def split(key: jax.Array, count: int) -> list[jax.Array]:
    """Return independent keys."""
    return list(jax.random.split(key, count))


def by_arm(numbers: jax.Array, sizes: Sequence[int]) -> tuple[Numbers, ...]:
    """Split numbers into consecutive arms of the given sizes."""
    return tuple(jnp.split(numbers, np.cumsum(sizes)[:-1].tolist()))


def normal(key: jax.Array, size: int | tuple[int, ...]) -> Numbers:
    """Return standard normal numbers."""
    return jax.random.normal(key, (size,) if isinstance(size, int) else size)


def logistic(key: jax.Array, size: int) -> Numbers:
    """Return standard logistic numbers."""
    low, coin = _halves(key, size)
    below = jnp.log(low) - jnp.log1p(-low)
    return jnp.where(coin, below, -below)


def exponential(key: jax.Array, size: int) -> Numbers:
    """Return exponential numbers with mean 1, above zero."""
    low, coin = _halves(key, size)
    return -jnp.where(coin, jnp.log(low), jnp.log1p(-low))


def gamma(key: jax.Array, shape: FloatArray) -> Numbers:
    """Return one gamma number above zero, with rate 1, for each shape."""
    numbers = jax.random.gamma(key, jnp.asarray(shape, _real()))
    return jnp.maximum(numbers, np.finfo(numbers.dtype).tiny)


def poisson(key: jax.Array, mean: Numbers) -> Numbers:
    """Return Poisson counts, one for each mean."""
    return jax.random.poisson(key, mean)


def _halves(key: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Return uniform numbers u in (0, 1/2) and fair coins.

    A coin chooses between u and 1 - u, so both tails have the resolution of numbers near zero. A single uniform number
    would too often round to 1.
    """
    real = _real()
    width = np.finfo(real).bits
    bits = jax.random.bits(key, (size,), f"uint{width}")
    return ((bits >> 1).astype(real) + 0.5) * 2.0**-width, (bits & 1) == 1


def _real() -> jnp.dtype:
    return jnp.zeros(()).dtype
