"""What certificates of tests of two binomial arms must say: exact sizes; a calibrated Fisher's test is Boschloo's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import boschloo_exact

import adagrid as ada
from tests.support import flat
from tests.support.oracles import binomial_error, binomial_size, fisher_table

NULL = ["theta1 <= theta0"]


def assert_size(
    model: ada.Model, threshold: float, reject: np.ndarray, size: float, grid: ada.Grid, **how: object
) -> None:
    """A validation by tiles is above the exact error all over every tile, and its bound near the test's size."""
    assert binomial_size(reject) == pytest.approx(size, abs=1e-6)
    run = flat.ada_validate(model, threshold=threshold, grid=grid, **how)
    assert run.converged
    run.verify()
    results = run.results()
    theta, radius = results[["theta0", "theta1"]].to_numpy(), results[["radius0", "radius1"]].to_numpy()
    truth = binomial_error(reject, theta)
    deviation = (results["tie_estimate"] - truth) / np.sqrt(np.maximum(truth, 1e-6) / results["n_sims"])
    assert (np.abs(deviation) < 5).all()
    # the error of these tests grows with theta1 and falls with theta0: the worst of a tile is a vertex, or on the
    # diagonal where the null boundary passes through
    worst = np.stack([theta[:, 0] - radius[:, 0], theta[:, 1] + radius[:, 1]], axis=1)
    worst[:, 1] = np.minimum(worst[:, 1], theta[:, 0] + radius[:, 0])
    crossed = worst[:, 1] > worst[:, 0]
    ends = np.clip(np.linspace(worst[crossed, 0], worst[crossed, 1], 21), theta[crossed, 1] - radius[crossed, 1], None)
    assert (results["tie_bound"].to_numpy()[~crossed] >= binomial_error(reject, worst[~crossed])).all()
    assert (results["tie_bound"].to_numpy()[crossed] >= binomial_error(reject, np.stack([ends, ends], -1))).all()
    assert size <= run.bound <= size + run.settings.validation.max_target + 0.001
    assert (results["total_cost"] <= run.settings.validation.global_target).all()


def assert_calibrated_fisher_is_boschloo(
    n: int, alpha: float, above: float, at_most: float, grid: ada.Grid, **how: object
) -> None:
    """The calibrated threshold of n + n patients lies between published values, and decides as Boschloo's test."""
    run = flat.ada_calibrate(ada.FisherExact(n), alpha=alpha, grid=grid, **how)
    run.verify()
    assert above - 5e-7 < run.threshold <= at_most + 5e-7  # published to six decimals
    table = fisher_table(n)
    assert binomial_size(table < run.threshold) <= alpha
    for control in range(n + 1):
        for treatment in range(n + 1):
            # rows: treatment, control; columns: responders, others
            outcome = [[treatment, control], [n - treatment, n - control]]
            exact = boschloo_exact(outcome, alternative="greater").pvalue
            assert (table[control, treatment] < run.threshold) == (exact <= alpha), (control, treatment)
