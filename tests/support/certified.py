"""Small certificates of designs whose error is known, what they must say, and shares of simulated trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import beta

import adagrid as ada
from adagrid._typing import ArrayLike, FloatArray
from adagrid.engine import Shape, Simulator
from adagrid.testing import PandasStore
from tests.support import flat

# Loose enough for jobs of a second, and small beside the levels at which designs are tested.
TARGETS = {"max_target": 0.004, "global_target": 0.01}


def validated(model: ada.Model, threshold: float | None, grid: ada.Grid, **how: object) -> ada.Run:
    """Validate a design by interpolation, in memory: what its certificate says depends on no database."""
    how = {"method": "interpolated", "db": PandasStore()} | TARGETS | how
    return flat.ada_validate(model, threshold=threshold, grid=grid, **how)


def calibrated(model: ada.Model, alpha: float, grid: ada.Grid, **how: object) -> ada.Run:
    """Calibrate a design by interpolation, in memory."""
    how = {"method": "interpolated", "db": PandasStore()} | how
    return flat.ada_calibrate(model, alpha=alpha, grid=grid, **how)


def assert_bounds(run: ada.Run, truth: float) -> None:
    """The bound of a validation is above the largest error, by no more than its targets and five standard errors."""
    run.verify()
    assert run.converged
    worst = run.worst_tile()
    standard_error = np.sqrt(truth * (1 - truth) / worst["n_sims"])
    assert truth <= run.bound <= truth + run.settings.validation.max_target + 5 * standard_error


def assert_calibrated(run: ada.Run, error: Callable[[float], float]) -> None:
    """The exact error of a threshold is at alpha, but for the certificate's own bias, grid cost and four of its std."""
    run.verify()
    assert run.converged
    figures = [
        content["figures"] for content in run.table("reports")["content"] if "std" in content.get("figures", {})
    ][-1]
    bias, std, grid_cost = (float(figures[name]) for name in ("bias", "std", "grid cost"))
    alpha = run.settings.calibration.alpha
    assert alpha - abs(bias) - grid_cost - 4 * std <= error(run.threshold) <= alpha + 4 * std


def assert_fails(run: ada.Run, level: float) -> None:
    """A validation tells that a design does not keep a level: by its bound, and by simulations with confidence."""
    assert run.bound > level
    points = run.table("vertices")
    lower = beta.ppf(1e-4, points["rejections"], points["n_sims"] - points["rejections"] + 1)
    assert np.nanmax(lower) > level


def assert_simulated(
    model: ada.Model,
    theta: FloatArray,
    threshold: float,
    exact: ArrayLike,
    sims: int = 2**16,
    null_truth: ArrayLike = (True,),
) -> None:
    """The share of simulated trials that reject is the exact error of every point, within five standard errors.

    That is .003 around 2.5% for 65,536 simulations: what is off by one patient, degree of freedom or look of a small
    trial is off by more.
    """
    truth = np.broadcast_to(np.asarray(null_truth, bool), (len(theta), np.size(null_truth)))
    simulator = Simulator(model, 0, truth.shape[1], shape=Shape(8192, len(theta)))
    share = simulator.count(theta, truth, model.direction * threshold, 0, sims) / sims
    exact = np.asarray(exact, float)
    assert (np.abs(share - exact) <= 5 * np.sqrt(exact * (1 - exact) / sims) + 5 / sims).all()
