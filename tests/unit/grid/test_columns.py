"""Column sets keep their rows and types, in data frames and when they are joined."""

from __future__ import annotations

import numpy as np
import pytest

import adagrid as ada
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import triangulate

GRID = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["x1 <= x0", "x0 <= 0.3"])
SIMPLICES = triangulate(GRID.tiles, GRID.hypotheses)
NUMBERS = np.arange(3 * len(SIMPLICES)).reshape(-1, 3)
CELLS = Cells.of(SIMPLICES, NUMBERS.astype(np.uint64), NUMBERS)
POINTS = Points.asked(GRID.tiles.theta, GRID.tiles.null_truth, stream=3, n_sims=GRID.tiles.n_sims + 64, level=0.1)


def assert_same(one, other):
    assert type(one) is type(other)
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name), strict=True)


@pytest.mark.parametrize("rows", [GRID.tiles, CELLS, POINTS], ids=["tiles", "cells", "points"])
def test_frames_hold_rows(rows):
    assert_same(type(rows).from_frame(rows.to_frame().assign(other=0)), rows)
    none = rows.take(slice(0))
    assert_same(type(rows).from_frame(none.to_frame()), none)


@pytest.mark.parametrize("rows", [GRID.tiles, CELLS, POINTS, SIMPLICES], ids=["tiles", "cells", "points", "simplices"])
def test_parts_join_to_the_whole(rows):
    parts = [rows.take(np.arange(3)), rows.take(slice(3, None))]
    assert [len(part) for part in parts] == [3, len(rows) - 3]
    assert_same(type(rows).concatenate(parts), rows)
