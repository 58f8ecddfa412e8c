"""Largest tilts for which the Hessian of a log-partition falls slowly enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import FloatArray

# Grid of log(q - 1).
_TILTS = np.arange(-16.0, 22.6, 0.1)


def largest_tilt(fall: Callable[[float], FloatArray]) -> FloatArray:
    """Return the q up to which the Hessian falls by a factor of q at most.

    Args:
        fall: maps q to bounds k of shape (tiles,), which never fall in q, such that
            A''(theta + q v) >= exp(-k) A''(theta + v) for all v in a tile.

    Returns:
        The largest q of a grid such that k <= log(q) holds up to it, also between points of the grid; 1 where the first
        point fails. Shape (tiles,).
    """
    q = 1 + np.exp(_TILTS)
    limit = np.ones_like(fall(1.0))
    proven = np.ones(limit.shape, bool)
    for here, there in zip(q[:-1].tolist(), q[1:].tolist(), strict=True):
        with np.errstate(over="ignore"):
            proven &= fall(there) <= np.log(here)
        if not proven.any():
            break
        limit[proven] = there
    return limit
