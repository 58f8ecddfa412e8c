"""What a zone's next step depends on: narrow columns of its active tiles, in memory.

A cache of the tables, rebuilt from them at any time: never the truth. Ties are broken by tile id wherever order
matters, so the order of the rows does not. Tiles are kept in a few sorted parts, the children of a step being a new
one, and small parts are merged into larger ones: what a step asks costs about as much whatever the number of tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IdArray, IntArray
from adagrid.methods.tiles.sorted_tiles import Columns, Priority, SortedTiles

# Parts do not grow beyond this, so that a merge is never much work for one step.
_LARGEST_PART = 2**19
# Tiles that are looked at first in every part.
_LOOK = 1024
# After all tiles in the order of work.
_END: Priority = (255, np.inf)


@final
@dataclass(frozen=True)
class Layout:
    """What an algorithm keeps of active tiles, and asks about them.

    Args:
        columns: columns of results.
        extremes: columns of which it asks for an extreme value: `LEAST` or `LARGEST`.
        order: returns groups (small whole numbers) and keys of the order of work, each of shape (tiles,).
    """

    columns: Sequence[str]
    extremes: Mapping[str, int]
    order: Callable[[Columns], tuple[Array, FloatArray]]


@final
class Frontier:
    """The active tiles of a zone.

    Tiles are referred to by positions, which hold until the next `advance`.

    Args:
        layout: the columns it holds, and the extremes it finds.
        pages: columns of tiles, part by part: `id`, `eligible` and those of the layout, each of shape (tiles,).
    """

    def __init__(self, layout: Layout, pages: Iterable[Columns] = ()) -> None:
        self._layout = layout
        self._parts: list[SortedTiles] = []
        self._extremes: dict[str, float] | None = None
        for page in pages:
            for begin in range(0, len(page["id"]), _LARGEST_PART):
                self._add({name: column[begin : begin + _LARGEST_PART] for name, column in page.items()})
            del page  # before the next one is read

    @staticmethod
    def joined(frontiers: Sequence[Frontier]) -> Frontier:
        """Return the frontier of the tiles of several; it takes the place of these."""
        whole = Frontier(frontiers[0]._layout)
        whole._parts = [part for frontier in frontiers for part in frontier._parts]
        return whole

    def __len__(self) -> int:
        return sum(part.n_active for part in self._parts)

    @property
    def extremes(self) -> Mapping[str, float]:
        """The extreme values over all tiles, by column; infinite where there are no tiles."""
        if self._extremes is None:
            signs = np.array(list(self._layout.extremes.values()), float)
            known = np.full(len(signs), np.inf)
            for part in self._parts:
                known = np.minimum(known, part.fresh_least())
            for part in self._parts:
                known = part.least(known)
            self._extremes = dict(zip(self._layout.extremes, (signs * known).tolist(), strict=True))
        return self._extremes

    def holder(self, name: str) -> int:
        """Return the position of the tile that has the extreme value of a column; of several, that of the lowest id.

        Raises:
            ValueError: if there are no tiles.
        """
        found = [
            begin + row
            for begin, part in zip(self._begins(), self._parts, strict=True)
            if (row := part.holder(name, self.extremes[name])) is not None
        ]
        return found[int(np.argmin(self.take(["id"], np.array(found))["id"]))]

    def count(self, before: Priority) -> int:
        """Return how many tiles come before a priority in the order of work, eligible or not."""
        return sum(part.count(before) for part in self._parts)

    def take(self, names: Sequence[str], positions: IntArray) -> dict[str, Array]:
        """Return columns at positions, each of shape (positions,)."""
        if not len(positions):
            return {name: np.empty(0) for name in names}
        values = {name: np.empty(len(positions), self._parts[0].columns[name].dtype) for name in names}
        for part, here, rows in self._located(positions):
            for name in names:
                values[name][here] = part.columns[name][rows]
        return values

    def first(
        self, count: int, names: Sequence[str], wanted: Callable[[Columns], BoolArray], *, before: Priority = _END
    ) -> IntArray:
        """Return the positions of the first wanted among the eligible tiles, in the order of work.

        Args:
            count: at most so many.
            names: columns that tell which are wanted.
            wanted: returns which tiles are wanted, from these columns, each tile on its own.
            before: tiles from this priority on are not looked at.
        """
        searches = [(begin, part, part.search(before)) for begin, part in zip(self._begins(), self._parts, strict=True)]
        best = _Found(*(np.empty(0, kind) for kind in (np.int64, np.uint8, float, np.uint64)))
        look = _LOOK
        while searches:
            found = [best]
            for begin, part, search in searches:
                rows = search.next(look)
                rows = rows[wanted({name: part.columns[name][rows] for name in names})]
                found.append(_Found(begin + rows, *part.priorities(rows)))
            best = _Found.first(found, count)
            last = best.priority(count - 1)
            searches = [each for each in searches if not each[2].exhausted and each[1].priority(each[2].row) < last]
            look *= 2
        return best.position

    def advance(self, chosen: IntArray, replaced: BoolArray, fresh: Columns) -> None:
        """Bring the frontier up to date after a step.

        Args:
            chosen: positions of the tiles that the step chose; they are no longer eligible.
            replaced: which of them have been replaced by children.
            fresh: columns of the children, without `eligible`.
        """
        for part, here, rows in self._located(chosen):
            part.strike(rows, replaced[here])
        self._extremes = None
        self._add(dict(fresh) | {"eligible": np.ones(len(fresh["id"]), bool)})

    def _begins(self) -> IntArray:
        """Return the first position of every part."""
        return np.cumsum([0, *(len(part) for part in self._parts)])[:-1]

    def _located(self, positions: IntArray) -> Iterator[tuple[SortedTiles, BoolArray, IntArray]]:
        """Yield the parts that positions lie in: the part, which positions, and their rows there."""
        begins = self._begins()
        number = np.searchsorted(begins, positions, side="right") - 1
        for each in np.unique(number):
            here = number == each
            yield self._parts[each], here, positions[here] - begins[each]

    def _add(self, columns: dict[str, Array]) -> None:
        """Add tiles as a part, and merge small parts of about the same size, so that few are left."""
        self._parts += [self._sorted(columns)] if len(columns["id"]) else []
        self._parts = [self._compact(part) for part in self._parts if part.n_active]
        self._parts.sort(key=lambda part: part.n_active, reverse=True)
        while len(self._parts) > 1:
            larger, smaller = self._parts[-2:]
            total = larger.n_active + smaller.n_active
            if larger.n_active > 2 * smaller.n_active or total > _LARGEST_PART:
                return
            names = (*larger.columns, "eligible")
            merged = {name: np.concatenate([larger.active(name), smaller.active(name)]) for name in names}
            self._parts[-2:] = [self._sorted(merged)]

    def _compact(self, part: SortedTiles) -> SortedTiles:
        """Return a part without the tiles that were struck out, if those are the most."""
        if 2 * part.n_active >= len(part):
            return part
        return self._sorted({name: part.active(name) for name in (*part.columns, "eligible")})

    def _sorted(self, columns: dict[str, Array]) -> SortedTiles:
        return SortedTiles(columns, *self._layout.order(columns), self._layout.extremes)


@final
@dataclass(frozen=True)
class _Found:
    """Tiles that a search found, by what orders them; each of shape (tiles,)."""

    position: IntArray
    group: Array
    key: FloatArray
    id: IdArray

    @staticmethod
    def first(parts: Sequence[_Found], count: int) -> _Found:
        """Return the first of all, in order."""
        columns = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Found)]
        _, group, key, ids = columns
        order = np.lexsort((ids, key, group))[:count]
        return _Found(*(column[order] for column in columns))

    def priority(self, number: int) -> tuple[float, ...]:
        """Return what orders a tile; after the last one, the end of the order."""
        if number >= len(self.id):
            return _END
        return int(self.group[number]), float(self.key[number]), int(self.id[number])
