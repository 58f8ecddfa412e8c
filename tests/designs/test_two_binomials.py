"""Fisher's exact test and the pooled z-test, against enumeration of both binomials."""

from __future__ import annotations

from fractions import Fraction
from math import comb, copysign, inf, sqrt

import numpy as np
import pytest
from scipy.stats import binom, binomtest

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.methods.tiles.algorithm import StepWork
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.validation import TileValidation
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.certified import assert_simulated
from tests.support.oracles import binomial_error, fisher_table, pooled_z_table
from tests.support.two_binomials import NULL, assert_calibrated_fisher_is_boschloo, assert_size


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


def test_sizes():
    """Of both tests with 12 patients per arm, which have the same size."""
    grid = ada.cartesian_grid([-1.5, -1.5], [1.5, 1.5], n=4, null_hypos=NULL)
    for model, threshold, reject in (
        (ada.FisherExact(12), 0.05, fisher_table(12) < 0.05),
        (ada.PooledZ(12), 1.96, pooled_z_table(12) > 1.96),
    ):
        assert_size(model, threshold, reject, 0.032016, grid, db=PandasStore(), max_target=0.004, global_target=0.01)


@pytest.mark.parametrize("model", [ada.FisherExact(12), ada.PooledZ(12)])
def test_thresholds_next_to_attainable_statistics(model):
    """Whatever the threshold, the decisions are those of the double-precision statistic; ties with it reject."""
    table = model.table(12, 12)
    simulator = Simulator(model, 0, 1)
    theta, truth = np.zeros((1, 2)), np.ones((1, 1), bool)
    values = np.unique(table)
    values = values[(values > 1e-3) & (values < 3)][::5]
    for value in values:
        for threshold in (np.nextafter(value, -9), value, np.nextafter(value, 9)):
            reject = table < threshold if model.reject_when == "small" else table > threshold
            apart = np.abs(table - threshold)
            reject |= (apart > 0) & (apart <= 4 * np.finfo(simulator.dtype).eps * abs(threshold))
            expected = binomial_error(reject, theta[0])
            count = simulator.count(theta, truth, model.direction * threshold, 0, 8192)[0]
            assert abs(count / 8192 - expected) < 5 * np.sqrt(max(expected, 1e-3) / 8192)
    ordered = simulator.smallest(theta, truth, 8192, 8192)[0]
    assert np.isin(ordered, model.direction * table).all()


def test_unequal_arms():
    """12 on control, 25 on treatment: the exact error by a plain double sum."""
    theta = np.array([[-1.0, -1.2], [0.3, 0.3], [2.0, -2.0]])
    p = 1 / (1 + np.exp(-theta))
    model = ada.PooledZ((12, 25))
    reject = model.table(12, 25) > 1.96
    truth = [
        sum(binom.pmf(c, 12, p0) * binom.pmf(t, 25, p1) for c in range(13) for t in range(26) if reject[c, t])
        for p0, p1 in p
    ]
    assert_simulated(model, theta, 1.96, truth, 2**17)


def test_calibrated_fisher_is_boschloo():
    grid = ada.cartesian_grid([-1.5, -1.5], [1.5, 1.5], n=1, null_hypos=NULL)
    how = {"method": "interpolated", "db": PandasStore()}
    assert_calibrated_fisher_is_boschloo(12, 0.025, 0.046584, 0.049766, grid, **how)


class TestOverSeeds:
    n_seeds = 250
    theta = np.array([[-0.13, -0.13], [1.0, 0.5], [0.0, -1.0]])

    def test_clopper_pearson_bound_misses_the_truth_rarely(self):
        truth = binomial_error(pooled_z_table(12) > 1.96, self.theta)
        tiles = ada.create_grid(self.theta, [1e-9]).tiles.with_n_sims(2048)
        algorithm = TileValidation(flat.settings("validate", "classic", threshold=1.96, delta=0.05))
        simulator = Simulator(ada.PooledZ(12), 0, 1, shape=Shape(2048, 4))
        misses = np.zeros(len(truth), int)
        for seed in range(self.n_seeds):
            answer = algorithm.simulate(simulator.reseeded(seed), StepWork.fresh(tiles))
            misses += answer["tie_point_bound"] < truth
        for count in misses.tolist():
            assert binomtest(count, self.n_seeds, 0.05, alternative="greater").pvalue > 1e-3
        assert misses.sum() > 0

    def test_mean_exact_error_of_calibrated_thresholds(self):
        tiles = ada.create_grid(self.theta, [1e-9]).tiles.with_n_sims(2048)
        table = fisher_table(12)
        algorithm = TileCalibration(flat.settings("calibrate", "classic", alpha=0.025, n_bootstrap=0))
        simulator = Simulator(ada.FisherExact(12), 0, 1, shape=Shape(2048, 4))
        errors = []
        for seed in range(self.n_seeds):
            star = algorithm.simulate(simulator.reseeded(seed), StepWork.fresh(tiles))["lambda_star"].min()
            errors.append(binomial_error(table < star * (1 - 1e-6), self.theta).max())
        assert np.mean(errors) <= 0.025 + 3 * np.std(errors) / np.sqrt(self.n_seeds)
        assert np.mean(errors) > 0.01


def _exact_p_value(n_control: int, n_treatment: int, control: int, treated: int) -> Fraction:
    total = control + treated
    more = range(treated, min(total, n_treatment) + 1)
    ways = sum(comb(n_treatment, k) * comb(n_control, total - k) for k in more)
    return Fraction(ways, comb(n_control + n_treatment, total))


def _exact_z(pooled: bool, n_control: int, n_treatment: int, control: int, treated: int) -> float:
    p0, p1 = Fraction(control, n_control), Fraction(treated, n_treatment)
    if p0 == p1:
        return 0.0
    p = Fraction(control + treated, n_control + n_treatment)
    variance = (
        p * (1 - p) * (Fraction(1, n_control) + Fraction(1, n_treatment))
        if pooled
        else p0 * (1 - p0) / n_control + p1 * (1 - p1) / n_treatment
    )
    return copysign(sqrt((p1 - p0) ** 2 / variance) if variance else inf, p1 - p0)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 4), (5, 3), (12, 12), (9, 21), (30, 31)])
def test_statistics_are_fractions_rounded_once(sizes):
    """Those that are equal are then equal as floats, and thresholds at attainable values mean what they say."""
    outcomes = list(np.ndindex(sizes[0] + 1, sizes[1] + 1))
    fisher, pooled, unpooled = (design(sizes).table(*sizes) for design in (ada.FisherExact, ada.PooledZ, ada.UnpooledZ))
    assert [fisher[each] for each in outcomes] == [float(_exact_p_value(*sizes, *each)) for each in outcomes]
    assert [pooled[each] for each in outcomes] == [_exact_z(True, *sizes, *each) for each in outcomes]
    assert [unpooled[each] for each in outcomes] == [_exact_z(False, *sizes, *each) for each in outcomes]


@pytest.mark.parametrize("sizes", [(1500, 1499), (40, 3000)])
def test_large_arms_are_as_exact(sizes):
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.01, 0.99, 40)
    outcomes = [tuple(int(rng.binomial(n, rate)) for n in sizes) for rate in rates]
    fisher, pooled, unpooled = (design(sizes).table(*sizes) for design in (ada.FisherExact, ada.PooledZ, ada.UnpooledZ))
    assert [fisher[each] for each in outcomes] == [float(_exact_p_value(*sizes, *each)) for each in outcomes]
    assert [pooled[each] for each in outcomes] == [_exact_z(True, *sizes, *each) for each in outcomes]
    assert [unpooled[each] for each in outcomes] == [_exact_z(False, *sizes, *each) for each in outcomes]
    assert ((fisher >= 0) & (fisher <= 1)).all()
