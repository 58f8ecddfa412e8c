"""What certificates of designs with a known error must say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import beta

import adagrid as ada


def assert_bounds(run: ada.Run, truth: float) -> None:
    """The bound of a validation is above the largest error, by no more than its targets and five standard errors."""
    run.verify()
    assert run.converged
    worst = run.worst_tile()
    standard_error = np.sqrt(truth * (1 - truth) / worst["n_sims"])
    assert truth <= run.bound <= truth + run.settings["max_target"] + 5 * standard_error


def assert_calibrated(run: ada.Run, error: Callable[[float], float]) -> None:
    """The exact error of a threshold is at alpha, but for the certificate's own bias, grid cost and four of its std."""
    run.verify()
    assert run.converged
    figures = [content["figures"] for content in run.reports()["content"] if "std" in content.get("figures", {})][-1]
    bias, std, grid_cost = (float(figures[name]) for name in ("bias", "std", "grid cost"))
    alpha = run.settings["alpha"]
    assert alpha - abs(bias) - grid_cost - 4 * std <= error(run.threshold) <= alpha + 4 * std


def assert_fails(run: ada.Run, level: float) -> None:
    """A validation tells that a design does not keep a level: by its bound, and by simulations with confidence."""
    assert run.bound > level
    points = run.vertices()
    lower = beta.ppf(1e-4, points["rejections"], points["n_sims"] - points["rejections"] + 1)
    assert np.nanmax(lower) > level
