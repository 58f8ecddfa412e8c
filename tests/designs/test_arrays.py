"""Designs that make arrays: the engine gives what they make, asks for no more, and tries what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.errors import ModelError
from tests.support import flat
from tests.support.certified import assert_bounds, assert_calibrated, calibrated, validated
from tests.support.oracles import z_error

THETA, TRUTH = np.linspace(-1, 0, 7)[:, None], np.ones((7, 1), bool)


class ArrayZ(ada.ArrayModel):
    """The z-test, in NumPy."""

    family = ada.Normal()
    reject_when = "large"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def simulate(self, begin, end, theta, null_truth):
        self.asked.append((begin, end, len(theta)))
        return ndtri(self.uniforms(begin, end, 1)).T + theta


def statistics(n, seed=3):
    """All statistics of a seed, turned so that small ones reject."""
    return -(ndtri(ArrayZ().seeded(seed).uniforms(0, n, 1)).T + THETA)


def test_counts_and_smallest_values_are_those_of_the_arrays():
    simulator, expected = Simulator(ArrayZ(), 3, 1, shape=Shape(512, 4)), statistics(5000)
    begin, end = np.array([0, 4000, 17, 0, 511, 2000, 0]), np.array([1, 5000, 4000, 5000, 513, 2001, 600])
    counts = simulator.count(THETA, TRUTH, -0.5, begin, end)
    smallest = simulator.smallest(THETA, TRUTH, end - begin, 1, begin)[:, 0]
    for row, a, b, count, least in zip(expected, begin, end, counts, smallest, strict=True):
        assert count == (row[a:b] < -0.5).sum()
        assert least == row[a:b].min()


def test_other_seeds_are_other_simulations():
    simulator = Simulator(ArrayZ(), 3, 1, shape=Shape(512, 4))
    for seed in (4, 2**40):
        counts = simulator.reseeded(seed).count(THETA, TRUTH, -0.5, 0, 700)
        np.testing.assert_array_equal(counts, (statistics(700, seed) < -0.5).sum(axis=1))


def test_nothing_is_simulated_that_is_not_needed():
    """Pilots have other simulations at every point."""
    model = ArrayZ()
    simulator = Simulator(model, 0, 1)
    begin = 512 * np.arange(7)
    simulator.count(THETA, TRUTH, 0.0, begin, begin + 512)
    asked = simulator._evaluator._model.asked
    assert sum((end - first) * points for first, end, points in asked) <= 7 * 512 + 3 * 64


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
def test_uniforms(count):
    """Whatever the range, a simulation's numbers are the same; they are uniform, and other for every seed."""
    model = ArrayZ().seeded(2**63 + 5)
    whole = model.uniforms(0, 1000, count)
    assert whole.shape == (1000, count)
    for begin, end in ((0, 1), (17, 400), (999, 1000)):
        np.testing.assert_array_equal(model.uniforms(begin, end, count), whole[begin:end])
    assert len(np.unique(whole)) == whole.size
    assert ((whole > 0) & (whole < 1)).all()
    assert abs(whole.mean() - 0.5) < 5 / np.sqrt(12 * whole.size)
    assert not np.isin(model.seeded(2**63 + 4).uniforms(0, 1000, count), whole).any()


def test_certificates():
    grid = ada.cartesian_grid([-1], [0], n=1, null_hypos=["x <= 0"])
    assert_bounds(validated(ArrayZ(), 1.96, grid), z_error(0.0, 1.96))
    assert_calibrated(calibrated(ArrayZ(), 0.025, grid), lambda c: z_error(0.0, c))


def test_packets_and_resuming_change_nothing(tmp_path):
    """The same rows in packets of any size, and after a stop."""
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    settings = {"threshold": 1.5, "grid": grid, "init_sims": 512, "max_sims": 2048}
    whole = flat.ada_validate(ArrayZ(), **settings)
    stopped = flat.ada_validate(ArrayZ(), **settings, n_steps=2, packet_size=3, db=tmp_path / "job.duckdb")
    stopped.close()
    again = flat.ada_validate(ArrayZ(), db=tmp_path / "job.duckdb", overrides={"n_steps": 100})
    columns = ["id", "n_sims", "rejections", "tie_bound"]
    one, other = (run.results()[columns].sort_values("id", ignore_index=True) for run in (whole, again))
    assert one.equals(other)


class Wrong(ada.ArrayModel):
    """A design whose arrays are what it is told."""

    family = ada.Normal()

    def __init__(self, how) -> None:
        self.how = how

    def simulate(self, begin, end, theta, null_truth):
        return self.how(self, begin, end, theta)


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        (lambda m, b, e, t: m.uniforms(b, e, 1), "shape"),
        (lambda m, b, e, t: np.zeros((len(t), e - b), bool), "not decisions"),
        (lambda m, b, e, t: np.zeros((len(t), e - b), complex), "numbers"),
        (lambda m, b, e, t: np.full((len(t), e - b), 2**60), "2\\*\\*53"),
        (lambda m, b, e, t: 1 / 0, "ZeroDivisionError"),
        (lambda m, b, e, t: np.random.default_rng(m.seed).normal(size=(len(t), e - b)), "whatever begin and end"),
        (lambda m, b, e, t: np.sin(np.arange(b, e))[None] + t, "another seed"),
        (lambda m, b, e, t: np.where(m.uniforms(b, e, 1).T > 0.9, np.nan, t), "NaN"),
    ],
)
def test_wrong_arrays_are_refused(how, rule):
    simulator = Simulator(Wrong(how), 0, 1)
    with pytest.raises(ModelError, match=rule):
        simulator.count(THETA[:3], TRUTH[:3], 0.0, 0, 200)


def test_rare_rejections_are_no_sign_of_a_forgotten_seed():
    rare = lambda m, b, e, t: np.where(m.uniforms(b, e, 1).T < 1e-4, 0, 1) + 0 * t.astype(int)
    simulator = Simulator(Wrong(rare), 0, 1)
    assert simulator.count(THETA, TRUTH, 0.5, 0, 50_000)[0] < 30


def test_one_trial_is_not_asked_for():
    for call in (lambda: ArrayZ().draw(None), lambda: ArrayZ().statistic(None, None, None)):
        with pytest.raises(TypeError, match="simulate"):
            call()
