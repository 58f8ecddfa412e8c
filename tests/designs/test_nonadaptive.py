"""Jobs without adaptation: the same by either entry point, and the same as a plain calculation."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import beta

import adagrid as ada
from adagrid.stores.tables import INCIDENTAL
from adagrid.testing import PandasStore
from tests.support import flat

N_SIMS = 1000  # no power of two: the last chunk is not full
GRID = ada.cartesian_grid([-1, -1], [1, 1], n=6, null_hypos=["theta1 <= theta0"])
MODEL = ada.FisherExact((8, 11))


@pytest.fixture(scope="module")
def plain_statistics():
    """A function that looks up the statistics of tiles, calculated without the engine: draw by draw, tile by tile."""
    with jax.enable_x64(True):
        key = jax.random.key(np.uint32(5), impl="threefry2x32")
        draw = jax.jit(lambda i: MODEL.draw(jax.random.fold_in(key, i)))
        draws = np.stack([draw(np.uint32(i)) for i in range(N_SIMS)])
        statistic = jax.jit(jax.vmap(MODEL.statistic_at, in_axes=(0, None, None)))
        found = {tuple(theta): np.asarray(statistic(draws, theta, np.ones(1, bool))) for theta in GRID.tiles.theta}
    return lambda results: np.stack([found[tuple(row)] for row in results[["theta0", "theta1"]].to_numpy()])


def _log_partition_secant(row: dict, vertex: np.ndarray, q: float) -> float:
    n, theta = np.array([8, 11]), np.array([row["theta0"], row["theta1"]])
    log_partition = lambda t: float(np.sum(n * np.logaddexp(0, t)))
    here = log_partition(theta)
    return (log_partition(theta + q * vertex) - here) / q - (log_partition(theta + vertex) - here)


def _vertices(row: dict) -> list[np.ndarray]:
    return [np.array([a * row["radius0"], b * row["radius1"]]) for a in (-1, 1) for b in (-1, 1)]


def _plain_bound(row: dict) -> float:
    upper = beta.ppf(0.99, row["rejections"] + 1, N_SIMS - row["rejections"])
    worst = lambda q: max((1 - 1 / q) * np.log(upper) + _log_partition_secant(row, v, q) for v in _vertices(row))
    best = minimize_scalar(lambda t: worst(1 + np.exp(t)), bounds=(-5, 8), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(best.fun))


def _plain_alpha0(row: dict, alpha: float) -> float:
    least = lambda q: min(q / (q - 1) * (np.log(alpha) - _log_partition_secant(row, v, q)) for v in _vertices(row))
    best = minimize_scalar(lambda t: -least(1 + np.exp(t)), bounds=(-5, 8), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(-best.fun))


def _same_rows(one, other) -> pd.DataFrame:
    frames = [run.results().drop(columns=list(INCIDENTAL)) for run in (one, other)]
    common = [name for name in frames[0].columns if name in frames[1].columns]
    pd.testing.assert_frame_equal(frames[0][common], frames[1][common], check_exact=True)
    return frames[0]


def test_validation_nonadagrid_using_adagrid(plain_statistics):
    plain = flat.validate(MODEL, threshold=0.05, grid=GRID, n_sims=N_SIMS, model_seed=5, db=PandasStore())
    adaptive = flat.ada_validate(
        MODEL,
        threshold=0.05,
        grid=GRID,
        model_seed=5,
        init_sims=N_SIMS,
        max_sims=N_SIMS,
        max_target=0,
        global_target=0,
        n_steps=1,
        packet_size=4,
    )
    results = _same_rows(plain, adaptive)
    assert adaptive.status is ada.Status.REACHED_N_STEPS
    assert len(results) == len(GRID.tiles)
    rejections = (plain_statistics(results) < np.float32(0.05)).sum(axis=1)
    np.testing.assert_array_equal(results["rejections"], rejections)
    np.testing.assert_array_equal(results["tie_estimate"], rejections / N_SIMS)
    bounds = [_plain_bound(row) for row in results.to_dict("records")]
    np.testing.assert_allclose(results["tie_bound"], bounds, rtol=1e-6)
    assert plain.bound == max(results["tie_bound"])


def test_calibration_nonadagrid_using_adagrid(plain_statistics):
    plain = flat.calibrate(MODEL, alpha=0.1, grid=GRID, n_sims=N_SIMS, model_seed=5, db=PandasStore())
    adaptive = flat.ada_calibrate(
        MODEL,
        alpha=0.1,
        grid=GRID,
        model_seed=5,
        init_sims=N_SIMS,
        max_sims=N_SIMS,
        grid_target=0,
        bias_target=0,
        std_target=0,
        n_bootstrap=0,
        n_steps=1,
        packet_size=4,
    )
    results = _same_rows(plain, adaptive)
    ordered = np.sort(plain_statistics(results), axis=1)
    alpha0 = np.array([_plain_alpha0(row, 0.1) for row in results.to_dict("records")])
    np.testing.assert_allclose(results["alpha0"], alpha0, rtol=1e-6)
    rank = np.floor((N_SIMS + 1) * alpha0).astype(int)
    np.testing.assert_array_equal(results["rank"], rank)
    expected = [row[r - 1] if r else -np.inf for row, r in zip(ordered, rank, strict=True)]
    np.testing.assert_array_equal(results["lambda_star"], expected)


def test_bootstrap_calibration(plain_statistics):
    how = {"alpha": 0.1, "grid": GRID, "n_sims": N_SIMS, "model_seed": 5}
    boot, plain = flat.bootstrap_calibrate(MODEL, n_bootstrap=20, **how), flat.calibrate(MODEL, **how)
    columns = ["id", "alpha0", "rank", "lambda_star", "grid_cost"]
    pd.testing.assert_frame_equal(boot.results()[columns], plain.results()[columns])
    results = boot.results()
    values = results[[f"bootstrap{b}" for b in range(20)]].to_numpy()
    ordered = np.sort(plain_statistics(results), axis=1)
    for row, thresholds in zip(ordered, values, strict=True):
        assert np.isin(thresholds, [*row, -np.inf]).all()
    ranked = results["rank"] > 10
    ranks_of = [np.searchsorted(row, value, side="right") for row, value in zip(ordered, values, strict=True)]
    spread = np.abs(np.stack(ranks_of)[ranked] - results["rank"][ranked].to_numpy()[:, None])
    # a resampled rank strays by its standard deviation, and by the ties of a discrete statistic
    assert (results["tilewise_min"] <= results["tilewise_mean"]).all()
    assert spread.mean() > 0


def test_rank_zero_never_rejects():
    grid = ada.create_grid([[0.0, 0.0]], [1.0, 1.0])
    run = flat.calibrate(MODEL, alpha=0.025, grid=grid, n_sims=64, db=PandasStore())
    assert run.results()["rank"].tolist() == [0]
    assert run.results()["lambda_star"].tolist() == [-np.inf]
    assert run.threshold == -np.inf
    large = flat.calibrate(ada.PooledZ((8, 11)), alpha=0.025, grid=grid, n_sims=64, db=PandasStore())
    assert large.threshold == np.inf
