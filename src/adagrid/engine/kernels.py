"""The inner loops: counting on the device, selection of the smallest statistics on the host.

They are in one module so that a different device can have its own.
"""

from __future__ import annotations

from typing import final

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._typing import Array

# XLA on CPU does not fuse large reductions: counts gather in this many lanes, which are summed once.
_LANES = 16
# What a NaN counts as while both counts share a number; more than there are lanes.
_NAN_BITS = 16
_NAN = 1 << _NAN_BITS


def count_rejections(
    statistics: jax.Array, limit: jax.Array, exception: jax.Array, first: jax.Array, last: jax.Array
) -> jax.Array:
    """Count the statistics that reject, and NaNs, among the columns first to last of each row.

    Args:
        statistics: shape (points, chunk); the chunk is a multiple of the number of lanes.
        limit: scalar of the same type; statistics below it reject,
        exception: but for those equal to this scalar, with which it is the other way round; NaN for none.
        first: first column that counts, shape (points,).
        last: one past the last column that counts, shape (points,).

    Returns:
        int32 of shape (2, points): how many reject, and how many are NaN.
    """
    points, chunk = statistics.shape
    column = jnp.arange(chunk, dtype=jnp.int32)
    counts = (column[None, :] >= first[:, None]) & (column[None, :] < last[:, None])
    # both counts in one number: a rejection in its lower half, a NaN in its upper half
    rejects = (statistics < limit) ^ (statistics == exception)
    kind = jnp.where(rejects, 1, jnp.where(jnp.isnan(statistics), _NAN, 0)).astype(jnp.int32)
    lanes = jnp.where(counts, kind, 0).reshape(points, _LANES, chunk // _LANES)
    total = lanes[:, 0]
    for lane in range(1, _LANES):
        total = total + lanes[:, lane]
    return jnp.stack([total & (_NAN - 1), total >> _NAN_BITS]).sum(-1, dtype=jnp.int32)


@final
class SmallestValues:
    """Keeps the m smallest of the values that are pushed, without keeping the others.

    Args:
        m: how many to keep, at least 1.
        chunk: the most values pushed at once.
        dtype: their type.
    """

    def __init__(self, m: int, chunk: int, dtype: np.dtype) -> None:
        self._m = m
        self._capacity = max(2 * m, m + chunk)
        self._buffer = np.empty(self._capacity + chunk, dtype)
        self._size = 0
        self._limit: np.generic | None = None

    def push(self, values: Array) -> None:
        """Add values; those that cannot be among the smallest are dropped at once."""
        if self._limit is not None:
            values = values[values < self._limit]
        end = self._size + values.size
        self._buffer[self._size : end] = values
        if end >= self._capacity or (self._limit is None and end >= self._m):
            smallest = self._buffer[:end]
            smallest.partition(self._m - 1)
            self._limit = smallest[self._m - 1]
            end = self._m
        self._size = end

    def sorted(self) -> Array:
        """Return the smallest values in ascending order: m of them, or all if fewer were pushed."""
        smallest = self._buffer[: self._size]
        if smallest.size > self._m:
            smallest.partition(self._m - 1)
            smallest = smallest[: self._m]
        return np.sort(smallest)
