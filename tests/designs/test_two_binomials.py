"""Fisher's exact test and the pooled z-test, against enumeration of both binomials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

import adagrid as ada
from adagrid.algorithms import AdaCalibrate, AdaValidate, CalibrateSettings, Packet, ValidateSettings
from adagrid.engine import Simulator
from tests.support.boschloo import assert_calibrated_fisher_is_boschloo
from tests.support.oracles import binomial_error, binomial_size, fisher_table, pooled_z_table

NULL = ["theta1 <= theta0"]


@pytest.mark.parametrize("n", [1, 5, 12, 31])
def test_tables(n):
    np.testing.assert_allclose(ada.FisherExact(n).table(n, n), fisher_table(n), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(ada.PooledZ(n).table(n, n), pooled_z_table(n), rtol=1e-9, atol=1e-12)


def test_equal_statistics_tie_exactly():
    table = ada.FisherExact(20).table(20, 20)
    table = table[table < 0.9]
    assert len(np.unique(table)) == len(np.unique(np.round(np.log(table), 9)))
    z = ada.PooledZ(20).table(20, 20)
    assert len(np.unique(z)) == len(np.unique(np.round(z, 9)))
    assert (z == -z.T).all()


@pytest.mark.parametrize(("n", "size"), [(10, 0.021095), (12, 0.032016), (20, 0.026629)])
def test_fisher_size(n, size):
    reject = fisher_table(n) < 0.05
    assert binomial_size(reject) == pytest.approx(size, abs=1e-6)
    grid = ada.cartesian_grid([-3, -3], [3, 3], n=8, null_hypos=NULL)
    _check_validation(ada.ada_validate(ada.FisherExact(n), threshold=0.05, grid=grid), reject, size)


@pytest.mark.parametrize(("n", "size"), [(12, 0.032016), (25, 0.032463)])
def test_pooled_z_size(n, size):
    reject = pooled_z_table(n) > 1.96
    assert binomial_size(reject) == pytest.approx(size, abs=1e-6)
    grid = ada.cartesian_grid([-3, -3], [3, 3], n=8, null_hypos=NULL)
    _check_validation(ada.ada_validate(ada.PooledZ(n), threshold=1.96, grid=grid), reject, size)


def _check_validation(run, reject, size):
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
    assert run.bound >= size
    assert run.bound <= size + 0.002 + 0.001
    assert (results["total_cost"] <= 0.005).all()


@pytest.mark.parametrize("model", [ada.FisherExact(12), ada.PooledZ(12)])
def test_thresholds_next_to_attainable_statistics(model):
    """Whatever the threshold, the decisions are those of the double-precision statistic."""
    table = model.table(12, 12)
    simulator = Simulator(model, 0, 1)
    theta, truth = np.zeros((1, 2)), np.ones((1, 1), bool)
    values = np.unique(table)
    values = values[(values > 1e-3) & (values < 3)][::5]
    for value in values:
        for threshold in (np.nextafter(value, -9), value, np.nextafter(value, 9)):
            reject = table < threshold if model.reject_when == "small" else table > threshold
            expected = binomial_error(reject, theta[0])
            count = simulator.count(theta, truth, model.direction * threshold, 0, 8192)[0]
            assert abs(count / 8192 - expected) < 5 * np.sqrt(max(expected, 1e-3) / 8192)
    ordered = simulator.smallest(theta, truth, 8192, 8192)[0]
    assert np.isin(ordered, model.direction * table).all()


def test_unequal_arms():
    """12 on control, 25 on treatment: the exact error by a plain double sum."""
    from scipy.stats import binom

    model = ada.PooledZ((12, 25))
    reject = model.table(12, 25) > 1.96
    grid = ada.create_grid([[-1.0, -1.2], [0.3, 0.3], [2.0, -2.0]], [0.01, 0.01])
    results = ada.validate(model, threshold=1.96, grid=grid, n_sims=131072).results()
    for row in results.to_dict("records"):
        p0, p1 = (1 / (1 + np.exp(-row[name])) for name in ("theta0", "theta1"))
        truth = sum(binom.pmf(c, 12, p0) * binom.pmf(t, 25, p1) for c in range(13) for t in range(26) if reject[c, t])
        assert abs(row["tie_estimate"] - truth) < 5 * np.sqrt(max(truth, 1e-5) / 131072)
        assert row["tie_bound"] >= truth


def test_calibrated_fisher_is_boschloo():
    assert_calibrated_fisher_is_boschloo(10, 0.05, 0.084901, 0.089448)


class TestOverSeeds:
    n_seeds = 250
    theta = np.array([[-0.13, -0.13], [1.0, 0.5], [0.0, -1.0]])

    def test_clopper_pearson_bound_misses_the_truth_rarely(self):
        truth = binomial_error(pooled_z_table(12) > 1.96, self.theta)
        tiles = ada.create_grid(self.theta, [1e-9]).tiles.with_n_sims(2048)
        algorithm = AdaValidate(ValidateSettings(threshold=1.96, delta=0.05))
        simulator = Simulator(ada.PooledZ(12), 0, 1)
        misses = np.zeros(len(truth), int)
        for seed in range(self.n_seeds):
            answer = algorithm.simulate(simulator.reseeded(seed), Packet.fresh(tiles))
            misses += answer["tie_point_bound"] < truth
        for count in misses.tolist():
            assert binomtest(count, self.n_seeds, 0.05, alternative="greater").pvalue > 1e-3
        assert misses.sum() > 0

    def test_mean_exact_error_of_calibrated_thresholds(self):
        tiles = ada.create_grid(self.theta, [1e-9]).tiles.with_n_sims(2048)
        table = fisher_table(12)
        algorithm = AdaCalibrate(CalibrateSettings(alpha=0.025, n_bootstrap=0))
        simulator = Simulator(ada.FisherExact(12), 0, 1)
        errors = []
        for seed in range(self.n_seeds):
            star = algorithm.simulate(simulator.reseeded(seed), Packet.fresh(tiles))["lambda_star"].min()
            errors.append(binomial_error(table < star * (1 - 1e-6), self.theta).max())
        assert np.mean(errors) <= 0.025 + 3 * np.std(errors) / np.sqrt(self.n_seeds)
        assert np.mean(errors) > 0.01
