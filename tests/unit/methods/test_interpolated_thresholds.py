"""Thresholds at vertices are order statistics of what the design simulates there."""

from __future__ import annotations

import numpy as np

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.grid.points import Points
from adagrid.methods.cells.calibration import CellCalibration
from tests.support import flat
from tests.support.array_designs import ArrayZ

SEED, RESAMPLES = 3, 5


def test_thresholds_at_vertices_are_order_statistics():
    """The floor((n + 1) level)-th smallest statistic; none, and no resampled one, where that is the zeroth."""
    theta = np.linspace(-1, 0, 6)[:, None]
    begin, n_sims = np.array([0, 64, 0, 64, 192, 0]), np.array([64, 64, 128, 128, 256, 256])
    level = np.array([0.001, 0.1, 0.025, 0.3, 0.0035, 0.0045])
    rank = [0, 6, 3, 38, 0, 1]
    grid = ada.cartesian_grid([-1], [0], n=1)
    settings = flat.settings("calibrate", "interpolated", n_bootstrap=RESAMPLES)
    algorithm = CellCalibration(settings, ArrayZ.family, grid.tiles, grid.hypotheses)
    points = Points.asked(
        theta, np.ones((6, 1), bool), stream=algorithm.first_stream + 1, begin=begin, n_sims=n_sims, level=level
    )
    answer = algorithm.simulate(Simulator(ArrayZ(), SEED, 1), "pass", points)
    assert answer["rank"].tolist() == rank
    for row in range(6):
        end = begin[row] + n_sims[row]
        statistics = np.sort(-ArrayZ().seeded(SEED).simulate(begin[row], end, theta[row : row + 1], None)[0])
        resampled = [answer[f"bootstrap{b}"][row] for b in range(RESAMPLES)]
        if rank[row] == 0:
            assert answer["lambda_star"][row] == -np.inf
            assert set(resampled) == {-np.inf}
        else:
            assert answer["lambda_star"][row] == statistics[rank[row] - 1]
            assert np.isin(resampled, statistics).all()
