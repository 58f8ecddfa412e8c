"""Simplices cover the null region of a grid exactly, and bisecting them keeps it so."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from adagrid.errors import InvalidInputError
from adagrid.grid import cartesian_grid, create_grid
from adagrid.grid.simplices import Simplices, triangulate

GRIDS = [
    cartesian_grid([-1], [1], n=3, null_hypos=["x <= 0.1"]),
    cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["y <= x"]),
    cartesian_grid([-1, -1], [1, 2], n=(2, 3), null_hypos=["y <= x", "x + y <= 0.3"]),
    cartesian_grid([-1] * 3, [1] * 3, n=1, null_hypos=["y <= x", "z <= x"]),
    cartesian_grid([-1] * 3, [1] * 3, n=2, null_hypos=["y <= x - 0.1", "2*z <= x + 0.3*y"]),
    cartesian_grid([-1] * 4, [1] * 4, n=1, null_hypos=[f"theta{i} <= {0.1 * i - 0.2}" for i in range(4)]),
    cartesian_grid([-1] * 4, [1] * 4, n=1, null_hypos=["theta1 <= theta0", "theta2 + theta3 <= theta0"]),
    cartesian_grid([0, 0, 0], [1, 2, 3], n=2),
    create_grid([[0.0, 0.0], [5.0, 1.0]], [[0.3, 1.0], [2.0, 0.1]], null_hypos=["x <= y + 3"]),
]


def locate(points, simplices):
    """Tell which points lie in which simplices, by barycentric coordinates, shape (points, simplices)."""
    edges = np.swapaxes(simplices.vertices[:, 1:] - simplices.vertices[:, :1], 1, 2)
    weights = np.linalg.solve(edges[None], (points[:, None] - simplices.vertices[None, :, 0])[..., None])[..., 0]
    return (weights >= -1e-9).all(axis=2) & (weights.sum(axis=2) <= 1 + 1e-9)


def random_points(grid, count):
    rng = np.random.default_rng(0)
    tiles = grid.tiles
    rows = rng.integers(len(tiles), size=count)
    return tiles.theta[rows] + rng.uniform(-1, 1, (count, grid.dim)) * tiles.radius[rows]


def assert_exact_cover(simplices, grid):
    np.testing.assert_allclose(simplices.volume.sum(), grid.tiles.volume.sum(), rtol=1e-9)
    per_root = dict.fromkeys(grid.tiles.id.tolist(), 0.0)
    for root, volume in zip(simplices.part_of.tolist(), simplices.volume, strict=True):
        per_root[root] += volume
    np.testing.assert_allclose(list(per_root.values()), grid.tiles.volume, rtol=1e-6, atol=1e-10)
    points = random_points(grid, 300)
    inside = locate(points, simplices)
    distances = [plane.dist(points) for plane in grid.hypotheses]
    truth = np.stack(distances, axis=1) >= 0 if distances else np.ones((300, 1), bool)
    clear = np.min(np.abs(distances), axis=0) > 1e-6 if distances else np.ones(300, bool)
    needed = truth.any(axis=1)
    assert inside[needed].any(axis=1).all()
    for where, own, plain in zip(inside, truth, clear, strict=True):
        if plain and own.any():
            assert (simplices.null_truth[where] == own).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_triangulation(grid):
    simplices = triangulate(grid.tiles, grid.hypotheses)
    assert_exact_cover(simplices, grid)
    for plane in grid.hypotheses:  # no boundary passes through
        distance = plane.dist(simplices.vertices)
        assert ((distance >= -1e-9).all(axis=1) | (distance <= 1e-9).all(axis=1)).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_bisecting(grid):
    rng = np.random.default_rng(1)
    simplices = triangulate(grid.tiles, grid.hypotheses)
    for _ in range(3):
        some = rng.random(len(simplices)) < 0.6
        edge = rng.integers(len(simplices.edges), size=int(some.sum()))
        halves = simplices.take(some).bisect(edge)
        np.testing.assert_allclose(halves.volume[::2], halves.volume[1::2], rtol=1e-6, atol=1e-14)
        np.testing.assert_allclose(halves.volume[::2], simplices.take(some).volume / 2, rtol=1e-6, atol=1e-14)
        simplices = Simplices.concatenate([simplices.take(~some), halves])
    assert_exact_cover(simplices, grid)


def test_neighbours_share_vertices_to_the_last_bit():
    grid = cartesian_grid([-0.7, -0.3], [0.9, 1.1], n=(3, 7))
    vertices = triangulate(grid.tiles, grid.hypotheses).vertices.reshape(-1, 2)
    assert len(np.unique(vertices, axis=0)) == 4 * 8
    crossed = cartesian_grid([-0.7, -0.3], [0.9, 1.1], n=(3, 7), null_hypos=["y <= 1.3*x"])
    vertices = triangulate(crossed.tiles, crossed.hypotheses).vertices.reshape(-1, 2)
    distinct = np.unique(vertices, axis=0)
    gaps = np.abs(distinct[:, None] - distinct[None]).max(axis=2) + np.eye(len(distinct))
    assert gaps.min() > 1e-9


def test_long_regions_are_covered():
    """Flatness is measured in units of the tile: mixed units make no cell flat."""
    grid = cartesian_grid([0] * 4, [100, 0.02, 0.02, 0.02], n=1, null_hypos=["theta0 <= 1000"])
    simplices = triangulate(grid.tiles, grid.hypotheses)
    np.testing.assert_allclose(simplices.volume.sum(), grid.tiles.volume.sum(), rtol=1e-9)


@pytest.mark.parametrize("gap", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_slices_are_covered_or_refused(gap, dim):
    grid = cartesian_grid([-1] * dim, [1] * dim, n=2, null_hypos=[f"x >= {1 - gap!r}"])
    with nullcontext() if gap > 1e-7 else pytest.raises(InvalidInputError, match="too thin to be covered"):
        simplices = triangulate(grid.tiles, grid.hypotheses)
        assert simplices.volume.sum() == pytest.approx(2 ** (dim - 1) * gap, rel=1e-5)


def test_thin_pieces_are_covered_or_refused():
    """No piece with an interior disappears, however thin; what cannot be covered is an error."""
    for gap in (1e-3, 1e-5, 1e-7):
        grid = cartesian_grid([-1] * 3, [1] * 3, n=2, null_hypos=[f"x + y >= {2 - gap!r}", "z <= 0.2"])
        simplices = triangulate(grid.tiles, grid.hypotheses)
        assert set(simplices.part_of.tolist()) == set(grid.tiles.id.tolist())
    for gap in (1e-8, 1e-11):
        try:
            grid = cartesian_grid([-1] * 3, [1] * 3, n=2, null_hypos=[f"x + y >= {2 - gap!r}", "z <= 0.2"])
            simplices = triangulate(grid.tiles, grid.hypotheses)
        except InvalidInputError:
            continue
        assert set(simplices.part_of.tolist()) == set(grid.tiles.id.tolist())
