"""How far one may tilt while the Hessian of a log-partition does not fall too fast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import FloatArray

# log(q - 1) of the tilts that are tried.
_TILTS = np.arange(-16.0, 22.6, 0.1)


def largest_tilt(fall: Callable[[float], FloatArray]) -> FloatArray:
    """Return up to which q the Hessian of A falls by a factor of q at most.

    Args:
        fall: of q, bounds k of shape (tiles,), never falling in q, such that A''(theta + q v) >= exp(-k) A''(theta + v)
            for all v in a tile.

    Returns:
        The largest q of a grid up to which k <= log(q) everywhere, between the grid's points as well; 1 where that
        fails from the start. Shape (tiles,).
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
