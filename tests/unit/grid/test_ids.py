"""Ids of tiles: the same on every machine, without collisions, and well mixed in every bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from adagrid._typing import IdArray
from adagrid.grid.ids import NO_PARENT, Descent, hash_words, tile_ids

MASK = 2**64 - 1
# p-values of fixed ids: they do not change from run to run.
SURELY_UNEVEN = 1e-4


def splitmix64(state: int) -> int:
    """The next output of SplitMix64 in exact whole numbers (Steele, Lea, Flood 2014)."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@pytest.fixture(scope="module")
def tree() -> IdArray:
    """The ids of all tiles of a large job: roots, split, refined and deepened for several generations."""
    roots = tile_ids(np.zeros(20_000), np.arange(20_000), Descent.ROOT)
    split = tile_ids(np.repeat(roots[::2], 3), np.tile(np.arange(3), 10_000), Descent.SPLIT)
    generation = np.concatenate([roots[1::2], split])
    every = [roots, split]
    for _ in range(3):
        deepened = generation
        for _ in range(2):
            deepened = tile_ids(deepened, np.zeros(len(deepened)), Descent.DEEPEN)
            every.append(deepened)
        chosen = np.concatenate([generation[::3], deepened[1::3]])
        generation = tile_ids(np.repeat(chosen, 4), np.tile(np.arange(4), len(chosen)), Descent.REFINE)
        every.append(generation)
    return np.concatenate(every)


def test_the_reference_generator_is_splitmix64():
    """The first outputs for the seed 1234567, as other implementations publish them."""
    golden = 0x9E3779B97F4A7C15
    outputs = [splitmix64((1234567 + i * golden) & MASK) for i in range(3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("descent", list(Descent))
def test_ids_are_splitmix64_of_the_descent_on_any_machine(descent):
    """Ids are stored in databases: they may never change, so they are computed here in whole numbers."""
    generator = np.random.default_rng(0)
    parents = generator.integers(0, 2**64, 200, dtype=np.uint64)
    children = np.concatenate([np.arange(100), generator.integers(0, 2**40, 100)])
    expected = [
        splitmix64((splitmix64(parent) + splitmix64((16 * child + descent) & MASK)) & MASK)
        for parent, child in zip(parents.tolist(), children.tolist(), strict=True)
    ]
    assert tile_ids(parents, children, descent).tolist() == expected


def test_ids_of_points_are_splitmix64_of_their_columns_in_order():
    """Stored as ids of tiles are: computed here in whole numbers."""
    words = np.random.default_rng(3).integers(0, 2**64, (200, 4), dtype=np.uint64)
    expected = []
    for row in words.tolist():
        value = 0
        for word in row:
            value = splitmix64((value + splitmix64(word)) & MASK)
        expected.append(value)
    assert hash_words(list(words.T)).tolist() == expected


def test_an_id_depends_on_nothing_but_its_own_row():
    generator = np.random.default_rng(1)
    parents = generator.integers(0, 2**64, 1000, dtype=np.uint64)
    children = np.arange(1000)
    together = tile_ids(parents, children, Descent.REFINE)
    assert together.dtype == np.uint64
    order = generator.permutation(1000)
    np.testing.assert_array_equal(tile_ids(parents[order], children[order], Descent.REFINE), together[order])
    for i in range(0, 1000, 100):
        assert tile_ids(parents[i], int(children[i]), Descent.REFINE) == together[i]
        assert tile_ids(int(parents[i]), float(children[i]), Descent.REFINE) == together[i]
    np.testing.assert_array_equal(tile_ids(parents, children.astype(np.uint8), Descent.SPLIT)[:256],
                                  tile_ids(parents, children, Descent.SPLIT)[:256])  # fmt: skip


def test_no_collisions_in_a_large_tree(tree):
    assert len(tree) > 1_000_000
    assert len(np.unique(tree)) == len(tree)
    assert NO_PARENT not in tree


def test_no_collisions_between_kinds_of_descent():
    """All kinds of children of the same tiles, with neighbouring child numbers, are different tiles."""
    tiles = tile_ids(np.zeros(500), np.arange(500), Descent.ROOT)
    parents, children = (grid.ravel() for grid in np.meshgrid(tiles, np.arange(500)))
    ids = np.concatenate([tiles, *(tile_ids(parents, children, descent) for descent in Descent)])
    assert len(np.unique(ids)) == len(ids)


def flipped_bits(before: IdArray, after: IdArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return which output bits differ, shape (ids, 64)."""
    return np.unpackbits((before ^ after).view(np.uint8).reshape(-1, 8), axis=1)


@pytest.mark.parametrize("descent", list(Descent))
@pytest.mark.parametrize("flipped", ["parent", "child"])
def test_flipping_one_bit_flips_half_of_the_bits(descent, flipped):
    """Each output bit changes with one half, whichever input bit is flipped: 4096 ids, six standard errors."""
    generator = np.random.default_rng(2)
    size = 4096
    parents = generator.integers(0, 2**64, size, dtype=np.uint64)
    children = np.arange(size, dtype=np.uint64)
    ids = tile_ids(parents, children, descent)
    for bit in range(64 if flipped == "parent" else 32):
        one = np.uint64(1) << np.uint64(bit)
        changed = (parents ^ one, children) if flipped == "parent" else (parents, children ^ one)
        share = flipped_bits(ids, tile_ids(*changed, descent)).mean(axis=0)
        assert np.abs(share - 0.5).max() < 6 * 0.5 / np.sqrt(size)
        assert abs(share.mean() - 0.5) < 6 * 0.5 / np.sqrt(64 * size)


def test_every_bit_is_set_in_half_of_the_ids(tree):
    share = np.unpackbits(tree.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    assert np.abs(share - 0.5).max() < 6 * 0.5 / np.sqrt(len(tree))


@pytest.mark.parametrize("n_zones", [2, 3, 7, 16, 100, 1000])
@pytest.mark.parametrize("shift", [0, 7, 14, 21, 35, 42])
def test_zones_are_balanced(tree, shift, n_zones):
    zones = (tree >> np.uint64(shift)) % np.uint64(n_zones)
    counts = np.bincount(zones.astype(np.int64), minlength=n_zones)
    assert chisquare(counts).pvalue > SURELY_UNEVEN


@pytest.mark.parametrize("n_zones", [2, 3, 8, 20])
def test_another_shift_deals_afresh(tree, n_zones):
    """From every zone tiles go to all zones alike, to within a fifth: the low bits are not quite forgotten."""
    for shift, other in itertools.pairwise((0, 7, 14, 21)):
        now, then = ((tree >> np.uint64(s)) % np.uint64(n_zones) for s in (shift, other))
        moves = np.bincount((now * np.uint64(n_zones) + then).astype(np.int64), minlength=n_zones**2)
        assert np.abs(moves * n_zones**2 / len(tree) - 1).max() < 0.2


@pytest.mark.parametrize("n_zones", [2, 3, 10])
def test_zones_of_siblings_are_balanced(n_zones):
    """The children of one parent do not stay together."""
    parents = tile_ids(np.zeros(5000), np.arange(5000), Descent.ROOT)
    families = tile_ids(np.repeat(parents, 8), np.tile(np.arange(8), 5000), Descent.REFINE).reshape(-1, 8)
    zones = (families % np.uint64(n_zones)).astype(np.int64)
    same = (zones[:, 1:] == zones[:, :1]).sum()
    trials = zones[:, 1:].size
    assert abs(same / trials - 1 / n_zones) < 6 * np.sqrt((1 / n_zones) * (1 - 1 / n_zones) / trials)
