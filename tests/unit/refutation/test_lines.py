"""Lines are exact in the design's precision, lie in the region and the family, and are as long as there is room for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adagrid as ada
from adagrid.grid.points import Points
from adagrid.refutation import Inquiry, log_affinity
from adagrid.refutation.region import Region

GRIDS = {
    "an interval": (ada.Normal(sd=1.0, n=25), ada.cartesian_grid([-1], [1], n=1)),
    "logits": (ada.Binomial((20, 20)), ada.cartesian_grid([-3, -2], [1, 1], n=2, null_hypos=["theta1 <= theta0"])),
    "three arms": (ada.Binomial((30,) * 3), ada.cartesian_grid([-1] * 3, [1] * 3, n=1)),
    "positive rates": (ada.Exponential(20), ada.cartesian_grid([0.01], [3.0], n=1)),
    "far from 0": (ada.Normal(sd=1.0), ada.cartesian_grid([1000.0], [1010.0], n=1)),
    "two parts": (
        ada.Normal(sd=1.0, n=100),
        ada.create_grid(theta=np.array([[-2.0], [2.0]]), radius=np.array([[0.5], [0.5]])),
    ),
}


def _asked(n_lines=12, n_sims=512, precision="single"):
    """Yield the name, family, tiles and lines of every grid, for a statistic that is the sum of the parameters."""
    for name, (family, grid) in GRIDS.items():

        def ask(points: Points):
            return points.theta.sum(axis=1)[:, None] + np.zeros(int(points.n_sims[0]))

        yield name, family, grid.tiles, Inquiry(family, precision, n_lines, n_sims, 0).lines(grid.tiles, ask)


@pytest.mark.parametrize(("name", "family", "tiles", "lines"), list(_asked()), ids=list(GRIDS))
class TestLines:
    def test_points_are_exact(self, name, family, tiles, lines):
        a, m, b = lines.points.transpose(1, 0, 2)
        for point in (a, m, b):
            assert_array_equal(point, point.astype(np.float32))
        assert_array_equal(a + b, 2 * m)

    def test_points_are_in_the_region_and_the_family(self, name, family, tiles, lines):
        points = lines.points.reshape(-1, family.dim)
        assert len(points)
        assert Region(tiles).holds(points).all()
        assert family.contains(points).all()

    def test_length(self, name, family, tiles, lines):
        standard_errors = np.sqrt(-2 * log_affinity(family, lines.middle, lines.half))
        assert (standard_errors <= 1.75 * (1 + 1e-9)).all()
        assert standard_errors.max() > 0.5

    def test_null_configurations_of_the_grid(self, name, family, tiles, lines):
        assert {tuple(row) for row in lines.null_truth} <= {tuple(row) for row in tiles.null_truth}


def test_lines_gather_where_the_statistic_is_unusual():
    # a step near the region's end: ranks are farthest from the median beyond it
    def ask(points):
        return (points.theta[:, :1] > -1) + np.zeros(int(points.n_sims[0]))

    tiles = ada.cartesian_grid([-10], [1], n=1).tiles
    lines = Inquiry(ada.Normal(sd=1.0, n=100), "double", 16, 512, 0).lines(tiles, ask)
    assert (lines.middle[:, 0] > -1.25).sum() >= 8


def test_no_room_no_lines():
    # in single precision the region has a few numbers only
    tiles = ada.cartesian_grid([1e6], [1e6 + 0.1], n=1).tiles
    lines = Inquiry(ada.Normal(), "single", 8, 512, 0).lines(tiles, lambda points: np.zeros((len(points), 64)))
    assert len(lines) == 0


class TestRegion:
    def test_spread_evenly_by_volume(self):
        tiles = ada.create_grid(theta=np.array([[-2.0], [2.0]]), radius=np.array([[0.25], [0.75]])).tiles
        points = Region(tiles).spread(0, 4000, np.array([0.1, 0.7]))
        assert Region(tiles).holds(points).all()
        assert_allclose((points < 0).mean(), 0.25, atol=0.002)
        assert_allclose(points[points > 0].mean(), 2.0, atol=0.005)

    def test_goes_on_where_it_ended(self):
        region = Region(ada.cartesian_grid([-1] * 2, [1] * 2, n=1).tiles)
        shift = np.array([0.2, 0.4, 0.6])
        assert_array_equal(region.spread(0, 9, shift)[5:], region.spread(5, 9, shift))
        assert not region.holds(np.array([[1.5, 0.0]])).any()


def test_no_two_points_share_simulations():
    family, grid = GRIDS["three arms"]
    asked = []

    def ask(points):
        asked.append(points)
        return np.random.default_rng(len(asked)).normal(size=(len(points), int(points.n_sims[0])))

    inquiry = Inquiry(family, "single", 8, 128, 0)
    lines = inquiry.lines(grid.tiles, ask)
    list(inquiry.bet(lines, ask))
    asked.append(inquiry.points(lines, 128, 256))  # of a second round
    used = [
        (stream, simulation)
        for points in asked
        for stream, begin, n in zip(points.stream, points.begin, points.n_sims, strict=True)
        for simulation in range(begin, begin + n)
    ]
    assert len(set(used)) == len(used)
