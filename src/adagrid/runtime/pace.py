"""How much work takes a few seconds: a run with a timeout is divided into such pieces."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import final

import numpy as np

from adagrid._deadline import seconds_left
from adagrid._typing import IntArray

# Seconds that a piece should take; what is tried before the pace is known: simulations, and rows.
_SECONDS, _FIRST, _FIRST_ROWS = 5.0, 2**20, 256


@final
class Pace:
    """The pace of a run's simulations, as its last piece had it.

    Results do not depend on the pieces. A run without a deadline is not divided.

    Args:
        block: rows that are simulated together: fewer take as long.
    """

    def __init__(self, block: int) -> None:
        self._block = block
        self._rate: float | None = None

    def note(self, n_sims: IntArray, seconds: float) -> None:
        """Note how long rows with these simulations took."""
        self._rate = float(_weight(n_sims).sum()) / max(seconds, 1e-6)

    def first(self, n_sims: IntArray) -> int:
        """Return how many of the first rows should be simulated next, at least one."""
        if seconds_left() == inf:
            return len(n_sims)
        most = _FIRST if self._rate is None else self._rate * _SECONDS
        rows = int(np.searchsorted(np.cumsum(_weight(n_sims)), most, side="right"))
        return min(max(rows, self._block), len(n_sims) if self._rate else _FIRST_ROWS)

    def pieces(self, n_sims: IntArray) -> Iterator[slice]:
        """Yield slices of rows that should be simulated together, each when it is wanted."""
        start = 0
        while start < len(n_sims):
            end = start + self.first(n_sims[start:])
            yield slice(start, end)
            start = end


def _weight(n_sims: IntArray) -> IntArray:
    return np.maximum(n_sims, 1)  # where errors are computed there are none
