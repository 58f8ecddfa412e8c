"""Deterministic 64-bit identifiers of tiles, cells and points.

The id of a tile or cell is a hash of its descent. The id of a point is a hash of all its values. So a repeated step
gives the same rows. The id 0 is the parent of the roots, and belongs to no tile. Code that creates rows detects
collisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from adagrid._typing import Array, ArrayLike, IdArray

NO_PARENT = np.uint64(0)


class Descent(IntEnum):
    """The way in which a tile arises from its parent."""

    ROOT = 0
    SPLIT = 1
    REFINE = 2
    DEEPEN = 3
    CELL = 4


def tile_ids(parents: ArrayLike, children: ArrayLike, descent: Descent) -> IdArray:
    """Return the ids of tiles.

    Args:
        parents: ids of the parents; 0 for roots.
        children: numbers of the children of each parent; for roots the position in the grid.
        descent: the way in which the tiles arise from their parents.
    """
    parent = np.asarray(parents, np.uint64)
    child = np.asarray(children, np.uint64)
    with np.errstate(over="ignore"):
        return _mix(_mix(parent) + _mix(child * np.uint64(16) + np.uint64(descent)))


def hash_words(words: Sequence[Array]) -> IdArray:
    """Return ids that depend on every bit and on the order of several columns of words, each of shape (rows,)."""
    ids = np.zeros(len(words[0]), np.uint64)
    with np.errstate(over="ignore"):
        for word in words:
            ids = _mix(ids + _mix(word.astype(np.uint64)))
    return ids


def _mix(x: IdArray) -> IdArray:
    """SplitMix64: a bijection of 64-bit words in which every input bit changes half of the output bits.

    Steele, Lea, Flood 2014, doi:10.1145/2714064.2660195; constants by David Stafford (variant 13).
    """
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
