"""The z-test, against the normal distribution function."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.estimation import below_rounding
from adagrid.methods.tiles.algorithm import StepWork
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.validation import TileValidation
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.oracles import z_error

CRITICAL = norm.isf(0.025)


@pytest.fixture(scope="module")
def validation():
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    return flat.ada_validate(ada.ZTest(), threshold=CRITICAL, grid=grid, db=PandasStore())


@pytest.fixture(scope="module")
def calibration():
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    return flat.ada_calibrate(ada.ZTest(), alpha=0.025, grid=grid, db=PandasStore())


def test_bound_is_above_the_truth_everywhere_on_every_tile(validation):
    assert validation.converged
    results = validation.results()
    offsets = np.linspace(-1, 1, 101)
    inside = results["theta0"].to_numpy()[:, None] + offsets * results["radius0"].to_numpy()[:, None]
    assert (results["tie_bound"].to_numpy()[:, None] >= z_error(inside, CRITICAL)).all()
    assert validation.bound >= 0.025


def test_bound_is_within_the_targets_of_the_truth(validation):
    results = validation.results()
    assert (results["total_cost"] <= 0.005).all()
    assert validation.bound <= 0.025 + 0.002 + 0.001


def test_estimates_are_near_the_truth(validation):
    results = validation.results()
    truth = z_error(results["theta0"], CRITICAL)
    error = (results["tie_estimate"] - truth) / np.sqrt(truth * (1 - truth) / results["n_sims"])
    assert (np.abs(error) < 4.5).all()


def test_tiles_cover_the_region(validation):
    results = validation.results().sort_values("theta0")
    lower, upper = results["theta0"] - results["radius0"], results["theta0"] + results["radius0"]
    assert lower.iloc[0] == -1
    assert upper.iloc[-1] == 0
    np.testing.assert_allclose(lower.iloc[1:], upper.iloc[:-1], atol=1e-12)


def test_calibrated_threshold_is_on_the_safe_side(calibration):
    assert calibration.converged
    assert CRITICAL <= calibration.threshold <= CRITICAL + 0.04
    worst = calibration.worst_tile()
    assert calibration.threshold == -below_rounding(worst["lambda_star"])
    assert calibration.bound == 0.025


def test_calibrated_threshold_validates(calibration):
    grid = ada.cartesian_grid([-1], [0], n=256, null_hypos=["x <= 0"])
    run = flat.validate(ada.ZTest(), threshold=calibration.threshold, grid=grid, n_sims=131072, db=PandasStore())
    assert (run.results()["tie_estimate"] <= 0.025).all()


def test_units():
    """Ten observations with standard deviation 3: the same test as one standard normal, stretched."""
    stretch = 3 / np.sqrt(10)
    plain, scaled = (
        flat.validate(model, threshold=2.0, grid=ada.cartesian_grid([low], [0], n=5), n_sims=8192, db=PandasStore())
        for model, low in ((ada.ZTest(), -1.0), (ada.ZTest(n=10, sd=3), -stretch))
    )
    np.testing.assert_allclose(plain.results()["tie_bound"], scaled.results()["tie_bound"], rtol=2e-3)


class TestOverSeeds:
    """What the confidence statements say, over 300 seeds."""

    n_seeds = 300

    def test_clopper_pearson_bound_misses_the_truth_rarely(self):
        theta = np.array([-0.5, -0.1, 0.0])
        tiles = ada.create_grid(theta[:, None], [1e-9]).tiles.with_n_sims(2048)
        algorithm = TileValidation(flat.settings("validate", "classic", threshold=CRITICAL, delta=0.05))
        simulator = Simulator(ada.ZTest(), 0, 1, shape=Shape(2048, 4))
        truth = z_error(theta, CRITICAL)
        misses = np.zeros(len(theta), int)
        for seed in range(self.n_seeds):
            answer = algorithm.simulate(simulator.reseeded(seed), StepWork.fresh(tiles))
            misses += answer["tie_point_bound"] < truth
            assert (answer["tie_bound"] >= answer["tie_point_bound"]).all()
        for count in misses.tolist():
            assert binomtest(count, self.n_seeds, 0.05, alternative="greater").pvalue > 1e-3
        assert misses.sum() > 0, "a bound that never misses at delta = 5% is not tested by this"

    def test_mean_exact_error_of_calibrated_thresholds(self):
        tiles = ada.create_grid([[-1e-9]], [1e-9]).tiles.with_n_sims(2048)
        algorithm = TileCalibration(flat.settings("calibrate", "classic", alpha=0.025, n_bootstrap=0))
        simulator = Simulator(ada.ZTest(), 0, 1, shape=Shape(2048, 4))
        errors = []
        for seed in range(self.n_seeds):
            answer = algorithm.simulate(simulator.reseeded(seed), StepWork.fresh(tiles))
            errors.append(float(z_error(0.0, -answer["lambda_star"].min())))
        rank = answer["rank"][0]
        assert rank in (50, 51)
        standard_error = np.std(errors) / np.sqrt(self.n_seeds)
        assert np.mean(errors) <= 0.025 + 3 * standard_error
        assert abs(np.mean(errors) - rank / 2049) < 4 * standard_error
