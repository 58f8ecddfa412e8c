"""Two tiles or points with the same id end a job: each would have the other's results."""

from __future__ import annotations

import numpy as np
import pytest

from adagrid.errors import CorruptStoreError
from adagrid.grid import grid, points
from adagrid.grid.ids import Descent
from adagrid.testing import PandasStore
from tests.support.jobcases import run_case


def test_of_children(monkeypatch):
    original = grid.tile_ids

    def colliding(parents, children, descent):
        refined = descent is Descent.REFINE
        return original(parents, np.asarray(children) // 2 * 2 if refined else children, descent)

    monkeypatch.setattr(grid, "tile_ids", colliding)
    store = PandasStore()
    with pytest.raises(CorruptStoreError, match="Two tiles have the same 64-bit id"):
        run_case("validate_z", db=store)
    store.verify()  # nothing of the step is written


def test_of_points(monkeypatch):
    original = points.hash_words

    def colliding(words):
        ids = original(words)
        return np.where(np.arange(len(ids)) == 1, ids[0], ids)

    monkeypatch.setattr(points, "hash_words", colliding)
    store = PandasStore()
    with pytest.raises(CorruptStoreError, match="Two rows of points have the same 64-bit id"):
        run_case("staged_validate_z", db=store)
    store.verify()
