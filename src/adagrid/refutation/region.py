"""The region of a grid: points spread over its tiles, and whether a point lies in a tile."""

from __future__ import annotations

from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.grid import Tiles

_ITERATIONS = 60


def sequence(begin: int, end: int, shift: FloatArray) -> FloatArray:
    """Return points of an endless sequence that fills the unit cube evenly.

    It adds powers of the root of x^(d + 1) = x + 1 modulo 1 (Roberts, 2018: The unreasonable effectiveness of
    quasirandom sequences).

    Args:
        begin: number of the first point.
        end: one past the number of the last point.
        shift: start of the sequence, shape (d,), between 0 and 1.

    Returns:
        Shape (end - begin, d).
    """
    root = 2.0
    for _ in range(_ITERATIONS):
        root = (1 + root) ** (1 / (len(shift) + 1))
    return (shift + np.arange(begin, end)[:, None] * root ** -np.arange(1.0, len(shift) + 1)) % 1


def chosen_by(volume: FloatArray, unit: FloatArray) -> IntArray:
    """Return positions chosen by numbers between 0 and 1, in proportion to volumes."""
    share = np.cumsum(volume)
    return np.searchsorted(share, unit * share[-1], side="right").clip(max=len(share) - 1)


@final
class Region:
    """The union of a grid's tiles.

    Args:
        tiles: the tiles, in any order.
    """

    def __init__(self, tiles: Tiles) -> None:
        order = np.lexsort(tiles.theta.T[::-1])
        self._low, self._high = (tiles.theta - tiles.radius)[order], (tiles.theta + tiles.radius)[order]
        self.lower, self.upper = self._low.min(axis=0), self._high.max(axis=0)
        self._volume = tiles.box_volume[order]

    @property
    def width(self) -> FloatArray:
        """Distance between the least and the largest value of each parameter, shape (dim,)."""
        return self.upper - self.lower

    def spread(self, begin: int, end: int, shift: FloatArray) -> FloatArray:
        """Return evenly spread points: numbers begin to end of an endless sequence.

        The first coordinate of the sequence chooses the tile, by volume.

        Args:
            begin: number of the first point.
            end: one past the number of the last point.
            shift: start of the sequence, shape (dim + 1,), between 0 and 1.

        Returns:
            Shape (end - begin, dim).
        """
        unit = sequence(begin, end, shift)
        tile = chosen_by(self._volume, unit[:, 0])
        low, high = self._low[tile], self._high[tile]
        return low + unit[:, 1:] * (high - low)

    def holds(self, points: FloatArray) -> BoolArray:
        """Return which points, of shape (points, dim), lie in a tile."""
        inside = [((self._low <= point) & (point <= self._high)).all(axis=1).any() for point in points]
        return np.array(inside, bool)
