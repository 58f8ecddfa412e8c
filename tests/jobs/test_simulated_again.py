"""Every count and threshold in a job's tables can be simulated again from the seed, stream and range beside it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.grid import Tiles
from adagrid.grid.points import Points
from adagrid.methods._common import VALIDATION_STREAM
from adagrid.runtime.requests import FractionsRequest
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.jobcases import run_case

SEED = 2**40 + 3


@pytest.fixture(scope="module")
def simulator():
    return Simulator(ada.ZTest(), SEED, 1)


def counted(simulator, subjects, begin=0):
    return simulator.count(subjects.theta, subjects.null_truth, -1.96, begin, begin + subjects.n_sims)


def test_tiles(simulator):
    """Of a search that was interrupted, and of the certificate, which has a stream of its own."""
    store = PandasStore()
    run_case("validate_z", ada.ZTest(), db=store, model_seed=SEED, n_steps=2)
    run = flat.ada_validate(ada.ZTest(), db=store, overrides={"n_steps": 8})
    searched = run.results(active=False)
    assert {512, 1024, 2048} <= set(searched["n_sims"])
    np.testing.assert_array_equal(searched["rejections"], counted(simulator, Tiles.from_frame(searched)))
    certified = run.certify().results()
    fresh = simulator.of_stream(VALIDATION_STREAM + 1)
    np.testing.assert_array_equal(certified["rejections"], counted(fresh, Tiles.from_frame(certified)))


def test_points_of_a_validation(simulator):
    run = run_case("staged_validate_z", ada.ZTest(), model_seed=SEED)
    for frame in (run.table("pilot"), run.table("vertices")):
        for stream, own in frame.groupby("stream"):
            points = Points.from_frame(own)
            again = counted(simulator.of_stream(stream), points, points.begin)
            np.testing.assert_array_equal(own["rejections"], again)


def test_points_of_a_calibration(simulator):
    vertices = run_case("staged_calibrate_z", ada.ZTest(), model_seed=SEED).table("vertices")
    points, rank = Points.from_frame(vertices), vertices["rank"].to_numpy()
    fresh = simulator.of_stream(int(points.stream[0]))
    smallest = fresh.smallest(points.theta, points.null_truth, points.n_sims, rank)
    np.testing.assert_array_equal(vertices["lambda_star"], smallest[np.arange(len(points)), rank - 1])


class Rounded(ada.ZTest):
    """A z-test whose statistic has few values."""

    def statistic(self, draw, theta, null_truth):
        return jnp.round(super().statistic(draw, theta, null_truth))


def test_the_error_below_a_threshold_leaves_out_ties():
    simulator, tile = Simulator(Rounded(), SEED, 1), ada.create_grid([[-0.5]], [0.1]).tiles.with_n_sims(1000)
    thresholds = np.array([-np.inf, -2.0, -1.5, -1.0, 0.0])
    answer = FractionsRequest(tile, 0, 1000, thresholds).simulate(None, simulator)
    rejections = [simulator.count(tile.theta, tile.null_truth, threshold, 0, 1000)[0] for threshold in thresholds]
    np.testing.assert_array_equal(answer["below"], np.array(rejections) / 1000)
    assert len(set(rejections)) == 4
