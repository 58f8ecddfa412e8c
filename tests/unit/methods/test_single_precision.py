"""Single precision simulates a point beside the one asked for: what is certified holds at the latter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.grid.points import Points
from adagrid.methods.cells.calibration import CellCalibration
from adagrid.methods.cells.validation import CellValidation
from adagrid.methods.tiles.algorithm import StepWork
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.validation import TileValidation
from adagrid.runtime.exact import ExactErrors
from tests.support import flat

FAR, ALPHA = 1000.0, 0.025
THETA = FAR + np.linspace(0, 1e-3, 40)[:, None]  # single precision has steps of 6e-5 there
TRUTH = np.ones((len(THETA), 1), bool)


class Known(ada.ZTest):
    """A z-test whose error is computed, so that nothing but rounding separates bounds from the truth."""

    def exact_error(self, theta, null_truth, threshold):
        return ndtr(theta[:, 0] - threshold) * (1 + 1e-12)

    def exact_threshold(self, theta, null_truth, level):
        return theta[:, 0] - ndtri(level) + 1e-12


@pytest.fixture(scope="module")
def simulator():
    simulator = Simulator(Known(), 0, 1)
    assert np.ptp(THETA - simulator.represented(THETA)) > 4e-5
    return simulator


def tiles():
    return ada.create_grid(THETA, [1e-5]).tiles.with_n_sims(16)


def staged(algorithm, settings):
    grid = ada.cartesian_grid([FAR - 1], [FAR + 1], n=1)
    return algorithm(settings, Known().family, grid.tiles, grid.hypotheses, ExactErrors(Known()))


def test_bounds_of_tiles(simulator):
    threshold = FAR + 2.0
    algorithm = TileValidation(flat.settings("validate", "classic", threshold=threshold), exact=ExactErrors(Known()))
    answer = algorithm.simulate(simulator, StepWork.fresh(tiles()))
    for end in (-1e-5, 0.0, 1e-5):
        error = ndtr(THETA[:, 0] + end - threshold)
        assert (answer["tie_lower"] <= error).all()
        assert (answer["tie_bound"] >= error).all()


def test_thresholds_of_tiles(simulator):
    algorithm = TileCalibration(
        flat.settings("calibrate", "classic", alpha=ALPHA, n_bootstrap=0), exact=ExactErrors(Known())
    )
    threshold = -algorithm.simulate(simulator, StepWork.fresh(tiles()))["lambda_star"]
    assert (ndtr(THETA[:, 0] + 1e-5 - threshold) <= ALPHA).all()


def test_limits_at_vertices(simulator):
    threshold = FAR + 2.0
    algorithm = staged(CellValidation, flat.settings("validate", "interpolated", threshold=threshold))
    points = Points.asked(THETA, TRUTH, stream=1, n_sims=np.full(len(THETA), 64), level=0.01)
    answer, error = algorithm.simulate(simulator, "pass", points), ndtr(THETA[:, 0] - threshold)
    assert (answer["tie_point_lower"] <= error).all()
    assert (answer["tie_point_bound"] >= error).all()


def test_thresholds_at_vertices(simulator):
    algorithm = staged(CellCalibration, flat.settings("calibrate", "interpolated", alpha=ALPHA))
    points = Points.asked(THETA, TRUTH, stream=1001, n_sims=np.full(len(THETA), 64), level=ALPHA)
    threshold = -algorithm.simulate(simulator, "pass", points)["lambda_star"]
    assert (ndtr(THETA[:, 0] - threshold) <= ALPHA).all()


@pytest.mark.parametrize("confidence", [None, 0.99])
def test_ranks_at_vertices(simulator, confidence):
    """They are those of the level at the point that is simulated, lower wherever this is another one."""
    settings = flat.settings("calibrate", "interpolated", alpha=ALPHA, confidence=confidence)
    points = Points.asked(THETA, TRUTH, stream=1001, n_sims=np.full(len(THETA), 2**24), level=ALPHA)
    rank = staged(CellCalibration, settings).simulate(simulator, "pass", points)["rank"]
    most, moved = settings.calibration.rank(2**24, ALPHA), (simulator.represented(THETA) != THETA)[:, 0]
    assert moved.any()
    assert (rank[moved] < most).all()
    assert (rank <= most).all()
    assert (rank > 0.9 * most).all()
