"""What limits at vertices certify of cells, and which limits a repaired cell may keep, with errors in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

import adagrid as ada
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices, triangulate
from adagrid.methods.cells.algorithm import SLICES, Simulated, State, positions
from adagrid.methods.cells.validation import CellValidation
from tests.support import flat

THRESHOLD = 2.0


def error(theta):
    return ndtr(theta - THRESHOLD)


def algorithm_of(grid):
    settings = flat.settings("validate", "interpolated", threshold=THRESHOLD)
    return CellValidation(settings, ada.ZTest().family, grid.tiles, grid.hypotheses)


def points_at(theta, stream, n_sims=6400):
    sims = np.full(len(theta), n_sims)
    return Points.asked(
        np.array(theta)[:, None], np.ones((len(theta), 1), bool), stream=stream, n_sims=sims, level=0.003
    )


def known(points):
    """Return points with limits that are their errors."""
    exact = error(points.theta[:, 0])
    limits = dict.fromkeys(("tie_estimate", "tie_point_lower", "tie_point_bound"), exact)
    return Simulated(points, {"rejections": np.rint(exact * points.n_sims).astype(np.int64), **limits})


def test_bounds_reach_into_the_rounding_between_cells():
    """Coordinates of cells are rounded: what lies between two neighbours is as near to each as 1e-10 of the region."""
    grid = ada.cartesian_grid([-1.0], [0.5], n=3, null_hypos=["x <= 1"])
    simplices = triangulate(grid.tiles, grid.hypotheses)
    theta, vertex = np.unique(simplices.vertices.ravel(), return_inverse=True)
    vertex, points = vertex.reshape(len(simplices), 2), points_at(theta, 1)
    cells = Cells.of(simplices, points.id[vertex], points.n_sims[vertex])
    certificate = algorithm_of(grid).certify(cells, known(points))
    for ends, gap in ((theta[vertex].min(axis=1), -1.5e-10), (theta[vertex].max(axis=1), 1.5e-10)):
        assert (certificate["tie_lower"] <= error(ends + gap)).all()
        assert (certificate["tie_bound"] >= error(ends + gap)).all()
    assert (certificate["tie_bound"] <= error(theta[vertex].max(axis=1)) * 1.2).all()


@pytest.fixture(scope="module")
def repair():
    """The cells from -1 to 0 and from 0 to 1, which share a place and no point, and what repairs both."""
    grid = ada.cartesian_grid([-1.0], [1.0], n=1, null_hypos=["x <= 2"])
    old = Points.concatenate([points_at([-1.0, 0.0], 1), points_at([0.0, 1.0], 2)])
    ends = np.array([[0, 1], [2, 3]])
    simplices = Simplices(old.theta[ends], np.ones((2, 1), bool), np.repeat(grid.tiles.id, 2))
    cells = Cells.of(simplices, old.id[ends], old.n_sims[ends])
    estimate, bound = error(np.array([0.0, 1.0])), error(np.array([0.0, 1.0])) + 0.1
    costs = {"grid_cost": np.full(2, 0.1), "total_cost": np.full(2, 0.1)}
    certificate = {"tie_estimate": estimate, "tie_bound": bound, **costs}
    pilot = known(points_at(np.linspace(-1, 1, 9), 0, 512))
    rounds = ["pilot", "pilot", "pilot", "pass", "pass"]
    return old, cells, algorithm_of(grid).next_round(State(rounds, pilot, known(old), cells, certificate))


def test_a_repaired_cell_keeps_limits_of_its_own_vertices_only(repair):
    """A limit of a neighbour's vertex, at the same place even, is no part of the union bound in the cell."""
    old, cells, plan = repair
    parent = positions(cells.id, plan.cells.parent_id)
    kept = np.isin(plan.cells.point_id, old.id)
    assert kept.any(axis=0).all()
    own = (plan.cells.point_id[:, :, None] == cells.point_id[parent][:, None, :]).any(axis=2)
    np.testing.assert_array_equal(kept, own)


def test_a_repaired_cell_lies_between_its_vertices(repair):
    old, cells, plan = repair
    points = Points.concatenate([old, plan.points])
    ends = points.theta[positions(points.id, plan.cells.point_id), 0]
    np.testing.assert_allclose(np.ptp(ends, axis=1), plan.cells.volume, rtol=1e-12)
    np.testing.assert_allclose(ends.mean(axis=1), plan.cells.theta[:, 0], rtol=1e-12)
    for parent in range(2):
        own = ends[plan.cells.parent_id == cells.id[parent]]
        assert (own.min(), own.max()) == (parent - 1, parent)


def test_a_repair_has_fresh_simulations_and_a_slice_of_delta(repair):
    *_, plan = repair
    assert set(plan.points.stream) == {3}
    fresh = np.isin(plan.cells.point_id, plan.points.id)
    level = plan.points.level[positions(plan.points.id, np.where(fresh, plan.cells.point_id, plan.points.id[0]))]
    assert (np.where(fresh, level, 0).sum(axis=1) <= 0.01 * SLICES[2] * (1 + 1e-12)).all()
