"""What a job records about its grid tells whether it has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adagrid.grid import cartesian_grid
from adagrid.launch.identity import grid_fingerprint

GRID = cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["x <= 0.1", "y <= 0.2"])


@pytest.mark.parametrize("tiles", ["tiles", "retired"])
@pytest.mark.parametrize("column", ["id", "theta", "radius", "null_truth"])
def test_no_column_of_the_tiles_may_change(tiles, column):
    """Whatever another version of a hypothesis, whose words are the same, makes of it."""
    before = getattr(GRID, tiles)
    changed = getattr(before, column).copy()
    changed[-1:] = ~changed[-1:] if column == "null_truth" else changed[-1:] + 1
    after = replace(GRID, **{tiles: replace(before, **{column: changed})})
    assert grid_fingerprint(after) != grid_fingerprint(GRID)


def test_tiles_of_another_size_around_the_same_centre():
    """They have the same ids."""
    one, other = (cartesian_grid([-size], [size], n=1) for size in (1.0, 2.0))
    np.testing.assert_array_equal(one.tiles.id, other.tiles.id)
    assert grid_fingerprint(one) != grid_fingerprint(other)
    assert grid_fingerprint(one) == grid_fingerprint(cartesian_grid([-1], [1], n=1))


def test_a_hypothesis_that_is_true_on_the_same_tiles():
    other = cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["2*x <= 0.2", "y <= 0.2"])
    again = cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["x <= 0.1", "y <= 0.2"])
    assert grid_fingerprint(again) == grid_fingerprint(GRID) != grid_fingerprint(other)
