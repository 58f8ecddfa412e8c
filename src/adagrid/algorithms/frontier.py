"""What a zone's next step depends on: narrow columns of its active tiles, in memory.

A cache of the tables, rebuilt from them at any time: never the truth. Ties are broken by tile id wherever order
matters, so the order of the rows does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray


@final
class Frontier:
    """The active tiles of a zone.

    Args:
        columns: `id`, `eligible` and what the algorithm reads, each of shape (tiles,) or (tiles, resamples).
    """

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._columns = dict(columns)

    def __len__(self) -> int:
        return len(self._columns["id"])

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    @property
    def id(self) -> IdArray:
        """Identifiers."""
        return self._columns["id"]

    @property
    def eligible(self) -> BoolArray:
        """Whether a step may choose the tile."""
        return self._columns["eligible"]

    def advance(self, chosen: IntArray, replaced: BoolArray, fresh: Mapping[str, Array]) -> Frontier:
        """Return the frontier after a step.

        Args:
            chosen: positions of the tiles that the step chose; they are no longer eligible.
            replaced: which of them have been replaced by children.
            fresh: columns of the children, without `eligible`.
        """
        keep = np.ones(len(self), bool)
        keep[chosen[replaced]] = False
        eligible = self.eligible.copy()
        eligible[chosen] = False
        old = self._columns | {"eligible": eligible}
        new = dict(fresh) | {"eligible": np.ones(len(fresh["id"]), bool)}
        return Frontier({name: np.concatenate([old[name][keep], new[name]]) for name in old})


def first(key: FloatArray, ids: IdArray, count: int) -> IntArray:
    """Return the positions of the `count` smallest keys in ascending order; ties go to the lower id."""
    positions = np.arange(len(key))
    if len(key) > count > 0:
        limit = np.partition(key, count - 1)[count - 1]
        positions = np.flatnonzero(key <= limit)
    return positions[np.lexsort((ids[positions], key[positions]))[:count]]
