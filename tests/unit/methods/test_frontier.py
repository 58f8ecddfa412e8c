"""A frontier answers as a list of tiles would, whatever was added and struck out, and in whatever parts."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adagrid.methods.tiles import frontier, sorted_tiles
from adagrid.methods.tiles.frontier import Frontier, Layout
from adagrid.methods.tiles.sorted_tiles import LARGEST, LEAST

LAYOUT = Layout(
    columns=("group", "key", "low", "high"),
    extremes={"low": LEAST, "key": LEAST, "high": LARGEST},
    order=lambda tiles: (tiles["group"], tiles["key"]),
)

values = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf])
tile = st.tuples(st.booleans(), st.integers(0, 2), values, values, values)
step = st.tuples(
    st.integers(1, 9),  # tiles chosen
    st.integers(0, 2**9 - 1),  # which of them are replaced
    st.lists(tile, max_size=12),  # their children
    st.tuples(st.integers(0, 3), values),  # a priority
)


class Naive:
    """Tiles in a list."""

    def __init__(self):
        self.tiles = []

    def add(self, rows, ids):
        self.tiles += [
            {"id": i, "eligible": eligible, "group": group, "key": key, "low": low, "high": high}
            for i, (eligible, group, key, low, high) in zip(ids, rows, strict=True)
        ]

    def first(self, count, before):
        wanted = [
            tile
            for tile in self.tiles
            if tile["eligible"] and tile["high"] > 0 and (tile["group"], tile["key"]) < before
        ]
        return [tile["id"] for tile in sorted(wanted, key=lambda tile: (tile["group"], tile["key"], tile["id"]))][
            :count
        ]


def columns_of(rows, ids):
    eligible, group, key, low, high = zip(*rows, strict=True) if rows else [[]] * 5
    return {
        "id": np.array(ids, np.uint64),
        "eligible": np.array(eligible, bool),
        "group": np.array(group, np.uint8),
        "key": np.array(key, float),
        "low": np.array(low, np.float32),
        "high": np.array(high, float),
    }


def ids_at(tiles, positions):
    return tiles.take(["id"], positions)["id"].tolist()


@pytest.mark.parametrize(("block", "largest", "look"), [(2, 8, 1), (3, 1000, 2), (1024, 2**20, 1024)])
@given(st.lists(st.lists(tile, max_size=20), max_size=3), st.lists(step, max_size=8), st.randoms(use_true_random=False))
def test_it_answers_as_a_list_does(block, largest, look, pages, steps, random):
    ids = list(range(1, 200))
    random.shuffle(ids)
    naive = Naive()
    with (
        patch.object(sorted_tiles, "_BLOCK", block),
        patch.object(frontier, "_LARGEST_PART", largest),
        patch.object(frontier, "_LOOK", look),
    ):
        numbered = [(rows, [ids.pop() for _ in rows]) for rows in pages]
        for rows, of_rows in numbered:
            naive.add(rows, of_rows)
        tiles = Frontier(LAYOUT, (columns_of(*page) for page in numbered))
        for count, replaced, children, before in steps:
            check(tiles, naive, before)
            chosen = tiles.first(count, ["high"], lambda some: some["high"] > 0, before=before)
            expected = naive.first(count, before)
            assert ids_at(tiles, chosen) == expected
            mask = np.array([bool(replaced >> k & 1) for k in range(len(chosen))], bool)
            gone = {i for i, out in zip(expected, mask, strict=True) if out}
            for each in naive.tiles:
                each["eligible"] &= each["id"] not in expected
            naive.tiles = [each for each in naive.tiles if each["id"] not in gone]
            born = [ids.pop() for _ in children]
            naive.add([(True, *row[1:]) for row in children], born)
            fresh = columns_of(children, born)
            fresh.pop("eligible")
            tiles.advance(chosen, mask, fresh)
        check(tiles, naive, (9, 0.0))


def check(tiles, naive, before):
    assert len(tiles) == len(naive.tiles)
    assert tiles.count(before) == sum((each["group"], each["key"]) < before for each in naive.tiles)
    for name, extreme, none in (("low", min, np.inf), ("key", min, np.inf), ("high", max, -np.inf)):
        value = extreme((each[name] for each in naive.tiles), default=none)
        assert tiles.extremes[name] == value
        if naive.tiles:
            holder = min(each["id"] for each in naive.tiles if each[name] == value)
            assert ids_at(tiles, np.array([tiles.holder(name)])) == [holder]


def test_joined():
    """The frontier of all zones is that of their tiles."""
    rows = [(True, 0, float(k), -float(k % 3), 1.0) for k in range(9)]
    parts = [Frontier(LAYOUT, [columns_of(rows[k::3], list(range(k + 1, 10, 3)))]) for k in range(3)]
    whole, expected = Frontier.joined(parts), Frontier(LAYOUT, [columns_of(rows, list(range(1, 10)))])
    assert len(whole) == 9
    assert whole.extremes == expected.extremes
    every = lambda some: np.ones(len(some["key"]), bool)
    assert ids_at(whole, whole.first(5, ["key"], every)) == ids_at(expected, expected.first(5, ["key"], every))


@given(st.lists(st.tuples(st.integers(0, 2), values, st.integers(0, 2**64 - 1)), max_size=30))
def test_the_order_is_that_of_a_full_sort(rows):
    group, key, ids = (np.array([row[k] for row in rows], kind) for k, kind in enumerate((np.uint8, float, np.uint64)))
    order = sorted_tiles._in_order(group, key, ids)
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert [rows[k] for k in order] == sorted(rows)
