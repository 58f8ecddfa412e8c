"""Calibration by interpolation against exact truths."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import beta, norm

import adagrid as ada
from adagrid.bounds import interpolated_bound
from adagrid.estimation import calibration_rank
from adagrid.methods.cells import calibration as module
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayZ
from tests.support.oracles import binomial_error, fisher_table

NULL2 = ["theta1 <= theta0"]
Z = (ArrayZ(), ada.cartesian_grid([-1], [0], n=1))
FISHER = (ada.FisherExact(20), ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=NULL2))
# Targets of Fisher's test, with a tenth of the default ones' simulations.
LOOSE = {"grid_target": 0.002, "bias_target": 0.002, "std_target": 0.002}


def run(model, grid, seed=0, **settings):
    job = flat.ada_calibrate(model, grid=grid, method="interpolated", db=PandasStore(), model_seed=seed, **settings)
    job.verify()
    return job


@cache
def job_of(name):
    return run(*Z) if name == "z" else run(*FISHER, **LOOSE)


@pytest.fixture(params=["z", "fisher"])
def job(request):
    return job_of(request.param)


def test_levels_keep_alpha_on_every_cell(job):
    """Recomputed from the vertices: an error at the levels there is bounded by alpha in between."""
    cells, points = job.results(), job.table("vertices").set_index("id")
    dim = len(job.record.theta_min)
    ids = cells[[f"point{i}" for i in range(dim + 1)]].to_numpy()
    theta = points.loc[ids.ravel(), [f"theta{i}" for i in range(dim)]].to_numpy().reshape(-1, dim + 1, dim)
    level = points.loc[ids.ravel(), "level"].to_numpy().reshape(-1, dim + 1)
    family = (Z if dim == 1 else FISHER)[0].family
    assert (interpolated_bound(family, theta, level) <= 0.025 * (1 + 1e-9)).all()
    assert (cells["tie_bound"] <= 0.025).all()
    assert (cells["tie_bound"] > 0).all()


def test_thresholds_are_order_statistics(job):
    points = job.table("vertices")
    np.testing.assert_array_equal(points["rank"], calibration_rank(points["n_sims"], points["level"]))
    assert (points["rank"] >= 40).all()
    assert (points["stream"] == 1001).all()
    assert set(job.table("pilot")["stream"]) == {1000}
    assert job.worst_tile()["lambda_star"] == points["lambda_star"].min()
    resampled = points[[name for name in points if name.startswith("bootstrap")]].to_numpy(float)
    share = (resampled <= points["lambda_star"].to_numpy()[:, None]).mean()
    assert 0.4 < share <= 1  # the rank-th smallest of a resample is as often below as above, ties aside


def test_one_pass_is_accepted_whatever_it_shows(job):
    assert job.table("coordinations")["kind"].tolist() == ["pilot", "pilot", "pilot", "pass"]
    assert job.guarantee == "certified"
    with pytest.raises(ada.errors.ResumeError, match="accepted whatever"):
        flat.ada_calibrate(Z[0] if len(job.record.theta_min) == 1 else FISHER[0], db=job._store,
                          overrides={"bias_target": 1e-5})  # fmt: skip


def test_the_threshold_is_safe_and_close():
    """The exact error of calibrated thresholds is alpha on average at most, and not far below."""
    z = norm.sf([run(*Z, seed=seed).threshold for seed in range(6)])
    assert z.mean() - 3 * z.std() / 6**0.5 <= 0.025
    assert z.mean() > 0.025 - 0.001
    table, diagonal = fisher_table(20), np.repeat(np.linspace(-1, 1, 201)[:, None], 2, axis=1)
    threshold = job_of("fisher").threshold
    sizes = {p: binomial_error(table < p, diagonal).max() for p in np.unique(table[table < 0.2])}
    possible = max(p for p, size in sizes.items() if size <= 0.025)
    assert binomial_error(table < threshold, diagonal).max() <= 0.025 + 0.001
    assert threshold >= max(p for p in sizes if p < possible) * (1 - 1e-6)


def test_statistics_that_reject_when_large_and_several_arms_of_unequal_size():
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=NULL2)
    settings = {"grid_target": 0.003, "bias_target": 0.003, "std_target": 0.004}
    threshold = run(ada.PooledZ((15, 25)), grid, **settings).threshold
    table = ada.PooledZ((15, 25)).table(15, 25)
    diagonal = np.repeat(np.linspace(-1, 1, 201)[:, None], 2, axis=1)
    size = binomial_error(table > threshold, diagonal).max()
    assert 0.025 - 0.006 <= size <= 0.025 + 0.003


@pytest.mark.parametrize("wrong", [0.5, 1.5])
def test_a_wrong_surrogate_costs_simulations_not_validity(wrong, monkeypatch):
    right = module.Surrogates.rates
    monkeypatch.setattr(module.Surrogates, "rates", lambda self, *at: np.clip(wrong * right(self, *at), 1e-7, 0.99))
    jobs = [run(*Z, seed=seed) for seed in range(5)]
    assert {job.converged for job in jobs} == {wrong > 1}
    for job in jobs:  # a pass that misses its targets is accepted, too
        assert (job.table("coordinations")["kind"] == "pass").sum() == 1
    errors = norm.sf([job.threshold for job in jobs])
    assert errors.mean() - 3 * errors.std() / 5**0.5 <= 0.025


def test_smaller_targets_make_thresholds_scatter_less():
    loose = [run(*Z, seed=seed, bias_target=0.004, std_target=0.004).threshold for seed in range(4)]
    targets = {"grid_target": 0.0004, "bias_target": 0.0004, "std_target": 0.0004}
    tight = [run(*Z, seed=seed, **targets).threshold for seed in range(4)]
    assert np.std(norm.sf(tight)) < np.std(norm.sf(loose))
    assert norm.sf(tight).std() < 0.0006


class Simon(ada.ArrayModel):
    """Two stages of 10 and 29 patients: responders, if more than one of the first ten responds."""

    reject_when = "large"
    family = ada.Binomial(29)

    def simulate(self, begin, end, theta, null_truth):
        """Return responders."""
        responds = self.uniforms(begin, end, 29)[None] < expit(theta)[:, :, None]
        return np.where(responds[..., :10].sum(axis=2) > 1, responds.sum(axis=2), 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_no_attainable_value_is_lost(seed):
    """Simon's optimal design has an error of 4.7% at 5 responders and one of 1.8% at 6, whatever a pilot estimates."""
    least = float(logit(0.1))
    grid = ada.cartesian_grid([least - 1.5], [least], n=1)
    job = run(Simon(), grid, seed, alpha=0.05, grid_target=0.002, bias_target=0.002, std_target=0.002)
    assert 5 <= job.threshold < 5.001


def test_impossible_targets_are_refused():
    for wrong in ({"grid_target": 0.0}, {"std_target": 0.0}, {"n_bootstrap": 0}):
        with pytest.raises(ada.errors.InvalidInputError, match=next(iter(wrong))):
            run(*Z, **wrong)


def test_resampled_ranks():
    """They are the ranks of order statistics of resamples: P(rank <= k) is a Beta probability."""
    job = run(*Z, n_bootstrap=400)
    row = job.table("vertices").iloc[0]
    share = np.mean([row[f"bootstrap{b}"] < row["lambda_star"] for b in range(400)])
    n, r = int(row["n_sims"]), int(row["rank"])
    expected = beta.cdf((r - 1) / n, r, n - r + 1)
    assert abs(share - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5
