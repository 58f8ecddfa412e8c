"""Tiles in the order of work, from which tiles are struck out: what a frontier is made of.

Columns never change, so that nothing is moved when tiles go. What is asked for often is kept per block of rows: a
lower bound of the least value. Striking out rows can only raise a least value, so old bounds stay true, and only
blocks whose bound could still win are looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray

Columns: TypeAlias = Mapping[str, Array]
Priority: TypeAlias = tuple[int, float]
"""Where a tile stands in the order of work: its group, and a key within the group. Ties go to the lower id."""

# What `extremes` of columns ask for: signs that turn either into a least value.
LEAST, LARGEST = 1, -1
_BLOCK = 1024
_UNKNOWN = -1


@final
class SortedTiles:
    """Tiles in the order of work, some of them struck out.

    Args:
        columns: `id`, `eligible` and others, each of shape (tiles,), in any order; it is emptied, so that a column
            need not be in memory twice.
        group: groups of the tiles, shape (tiles,).
        key: keys within the groups, shape (tiles,).
        extremes: columns of which an extreme value is asked for: `LEAST` or `LARGEST`.
    """

    def __init__(self, columns: dict[str, Array], group: Array, key: FloatArray, extremes: Mapping[str, int]) -> None:
        order = _in_order(group, key, columns["id"])
        self._group, self._key, self._eligible = group[order], key[order], columns.pop("eligible")[order]
        self.columns = {name: columns.pop(name)[order] for name in tuple(columns)}
        self._active = np.ones(len(order), bool)
        self._extremes = dict(extremes)
        starts = np.arange(0, len(order), _BLOCK)
        self._bounds = np.empty((len(extremes), len(starts)))
        for row, (name, sign) in zip(self._bounds, extremes.items(), strict=True):
            row[:] = np.minimum.reduceat(sign * self.columns[name], starts)
        self._stale = np.zeros(len(starts), bool)
        self._holders: dict[str, IntArray] = {}
        self._head = 0
        self.n_active = len(order)

    def __len__(self) -> int:
        """Return the number of rows, those struck out included."""
        return len(self._active)

    def active(self, name: str) -> Array:
        """Return a column, or `eligible`, of active tiles."""
        return (self._eligible if name == "eligible" else self.columns[name])[self._active]

    def strike(self, rows: IntArray, replaced: BoolArray) -> None:
        """Let tiles no longer be eligible, and those replaced no longer be active."""
        self._eligible[rows] = False
        gone = rows[replaced]
        self._active[gone] = False
        self.n_active -= len(gone)
        blocks = gone // _BLOCK
        self._stale[blocks] = True
        for holders in self._holders.values():
            holders[blocks] = _UNKNOWN
        while self._head < len(self) and not self._eligible[self._head : self._head + _BLOCK].any():
            self._head += _BLOCK

    def count(self, before: Priority) -> int:
        """Return how many active tiles come before a priority."""
        return int(np.count_nonzero(self._active[: self._row(before)]))

    def fresh_least(self) -> FloatArray:
        """Return the least signed values in blocks whose tiles are all still there since the last search."""
        return np.min(self._bounds, axis=1, where=~self._stale, initial=np.inf)

    def least(self, known: FloatArray) -> FloatArray:
        """Return the lesser of known values and the signed ones of active tiles, shape (columns,)."""
        for block in np.flatnonzero(self._stale & (self._bounds < known[:, None]).any(axis=0)).tolist():
            if (self._bounds[:, block] < known).any():
                known = np.minimum(known, self._look_again(block))
        return known

    def holder(self, name: str, value: float) -> int | None:
        """Return the row of the active tile with the lowest id that has a column's extreme value, if one does."""
        bounds, least = self._bounds[list(self._extremes).index(name)], self._extremes[name] * value
        for block in np.flatnonzero(self._stale & (bounds == least)).tolist():
            self._look_again(block)
        holders = self._holders.setdefault(name, np.full(len(bounds), _UNKNOWN))
        blocks = np.flatnonzero(bounds == least)
        for block in blocks[holders[blocks] == _UNKNOWN].tolist():
            rows = self._rows(block)
            rows = rows[self.columns[name][rows] == value]
            holders[block] = rows[np.argmin(self.columns["id"][rows])]
        rows = holders[blocks]
        return int(rows[np.argmin(self.columns["id"][rows])]) if len(rows) else None

    def search(self, before: Priority) -> Search:
        """Begin to look through the eligible tiles before a priority."""
        return Search(self._eligible, self._head, self._row(before))

    def priorities(self, rows: IntArray) -> tuple[Array, FloatArray, IdArray]:
        """Return groups, keys and ids, which order tiles."""
        return self._group[rows], self._key[rows], self.columns["id"][rows]

    def priority(self, row: int) -> tuple[int, float, int]:
        """Return the same of one tile."""
        return int(self._group[row]), float(self._key[row]), int(self.columns["id"][row])

    def _row(self, priority: Priority) -> int:
        """Return the row of the first tile that does not come before a priority, struck out or not."""
        group, key = priority
        begin, end = np.searchsorted(self._group, group), np.searchsorted(self._group, group, side="right")
        return int(begin + np.searchsorted(self._key[begin:end], key))

    def _rows(self, block: int) -> IntArray:
        return block * _BLOCK + np.flatnonzero(self._active[block * _BLOCK : (block + 1) * _BLOCK])

    def _look_again(self, block: int) -> FloatArray:
        """Make the bounds of a block exact again, and return them."""
        rows = self._rows(block)
        self._bounds[:, block] = [
            (sign * self.columns[name][rows]).min(initial=np.inf) for name, sign in self._extremes.items()
        ]
        self._stale[block] = False
        return self._bounds[:, block]


@final
class Search:
    """Looks through eligible tiles in the order of work.

    Args:
        eligible: which rows are eligible.
        begin: the first row to look at.
        end: one past the last.
    """

    def __init__(self, eligible: BoolArray, begin: int, end: int) -> None:
        self._eligible, self.row, self._end = eligible, begin, end

    @property
    def exhausted(self) -> bool:
        """Whether all rows have been looked at; if not, `row` is the next."""
        return self.row >= self._end

    def next(self, size: int) -> IntArray:
        """Return the eligible ones of the next rows."""
        begin, self.row = self.row, min(self.row + size, self._end)
        return begin + np.flatnonzero(self._eligible[begin : self.row])


def _in_order(group: Array, key: FloatArray, ids: IdArray) -> IntArray:
    """Return what `np.lexsort((ids, key, group))` does, many times as fast where few keys are tied."""
    order = np.argsort(key)
    order = order[np.argsort(group[order], kind="stable")]
    same = (key[order[1:]] == key[order[:-1]]) & (group[order[1:]] == group[order[:-1]])
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    rows = order[tied]
    order[tied] = rows[np.lexsort((ids[rows], key[rows], group[rows]))]
    return order
