"""The engine: counts and smallest statistics against plain NumPy on the same statistics."""

from __future__ import annotations

import itertools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import adagrid as ada
from adagrid.engine import Shape, Simulator, StatisticError
from adagrid.engine.kernels import SmallestValues, count_rejections
from adagrid.engine.ties import RejectionLimit
from adagrid.errors import InvalidInputError, ModelError

THETA = np.linspace(-1, 0, 7)[:, None]
TRUTH = np.ones((7, 1), bool)
N = 5000
ONE = Shape(4096, 1)
COUNT_REJECTIONS = jax.jit(count_rejections)
# What rejects, what does not, and what is neither, in every lane.
MIXED = np.resize(np.float32([-1, 1, np.nan, -2, -3]), (3, 64))


@pytest.fixture(scope="module")
def simulator():
    return Simulator(ada.ZTest(), 3, 1, shape=Shape(512, 4))


@pytest.fixture(scope="module")
def statistics():
    """All statistics, simulation by simulation, turned so that small ones reject."""
    key = jax.random.key(np.uint32(3), impl="threefry2x32")
    draws = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i)))(jnp.arange(N, dtype=jnp.uint32))
    return -(np.asarray(draws)[None, :] + THETA.astype(np.float32))


@pytest.mark.parametrize(("begin", "end"), [(0, N), (0, 1), (511, 513), (512, 1024), (100, 101), (37, 4999)])
@pytest.mark.parametrize("threshold", [-1.96, 0.0, -np.inf, np.inf])
def test_count(simulator, statistics, begin, end, threshold):
    expected = (statistics[:, begin:end] < threshold).sum(axis=1)
    np.testing.assert_array_equal(simulator.count(THETA, TRUTH, threshold, begin, end), expected)


def test_counts_add_up(simulator):
    """What deepening rests on: [0, 2N) is [0, N) and [N, 2N)."""
    parts = [simulator.count(THETA, TRUTH, -1.0, a, b) for a, b in itertools.pairwise([0, 1000, 2000, 4000])]
    np.testing.assert_array_equal(simulator.count(THETA, TRUTH, -1.0, 0, 4000), sum(parts))


@pytest.mark.parametrize(("n_sims", "m"), [(N, 1), (N, 40), (N, 600), (100, 100), (513, 513), (1, 1), (N, N)])
def test_smallest(simulator, statistics, n_sims, m):
    expected = np.sort(statistics[:, :n_sims], axis=1)[:, :m]
    np.testing.assert_array_equal(simulator.smallest(THETA, TRUTH, n_sims, m), expected)


def test_every_point_has_its_own_range(simulator, statistics):
    begin = np.array([0, 4000, 17, 0, 511, 2000, 0])
    end = np.array([1, 5000, 4000, 5000, 513, 2001, 600])
    expected = [(row[a:b] < -1.0).sum() for row, a, b in zip(statistics, begin, end, strict=True)]
    np.testing.assert_array_equal(simulator.count(THETA, TRUTH, -1.0, begin, end), expected)
    m = np.minimum(end, [1, 3, 40, 5000, 7, 2, 600])
    found = simulator.smallest(THETA, TRUTH, end, m)
    assert found.shape == (7, 5000)
    for row, n_sims, count, values in zip(statistics, end, m, found, strict=True):
        np.testing.assert_array_equal(values[:count], np.sort(row[:n_sims])[:count])
        assert (values[count:] == np.inf).all()


def test_points_do_not_depend_on_their_company(simulator):
    rng = np.random.default_rng(0)
    whole = simulator.count(THETA, TRUTH, -1.0, 0, N)
    for _ in range(5):
        some = rng.choice(7, rng.integers(1, 8), replace=True)
        np.testing.assert_array_equal(simulator.count(THETA[some], TRUTH[some], -1.0, 0, N), whole[some])


def test_nothing_to_do(simulator):
    assert simulator.count(THETA[:0], TRUTH[:0], 0.0, 0, 10).shape == (0,)
    assert simulator.smallest(THETA[:0], TRUTH[:0], 10, 3).shape == (0, 3)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (-1, 3), (0, 2**31)])
def test_ranges(simulator, begin, end):
    with pytest.raises(InvalidInputError, match=f"begin={begin}"):
        simulator.count(THETA, TRUTH, 0.0, begin, end)


def test_seeds_differ_and_repeat(simulator):
    counts = {seed: simulator.reseeded(seed).count(THETA, TRUTH, -1.0, 0, N) for seed in (0, 1, 3, 2**40, 2**40 + 1)}
    assert len({tuple(count) for count in counts.values()}) == 5
    np.testing.assert_array_equal(counts[3], simulator.count(THETA, TRUTH, -1.0, 0, N))
    again = Simulator(ada.ZTest(), 2**40, 1, shape=Shape(512, 4))
    np.testing.assert_array_equal(counts[2**40], again.count(THETA, TRUTH, -1.0, 0, N))


def test_draws_are_forgotten_when_there_are_too_many(simulator, monkeypatch):
    monkeypatch.setattr("adagrid.engine.compiled._DRAW_CACHE_BYTES", 3 * 512 * 4)
    fresh = simulator.reseeded(3)
    np.testing.assert_array_equal(fresh.count(THETA, TRUTH, -1.0, 0, N), simulator.count(THETA, TRUTH, -1.0, 0, N))
    assert len(fresh._evaluator._cache) == 3


class Double(ada.Model):
    """A design whose statistic needs double precision to tell simulations apart."""

    family = ada.Normal()
    precision: ClassVar = "double"

    def draw(self, key):
        return jax.random.bits(key, (), "uint32")

    def statistic(self, draw, theta, null_truth):
        return 1.0 + draw * 2.0**-52 + 0 * theta[0]


class Whole(ada.Model):
    """A design with a whole number as its statistic."""

    family = ada.Normal()

    def draw(self, key):
        return jax.random.randint(key, (), 0, 10)

    def statistic(self, draw, theta, null_truth):
        return draw


def test_precision():
    double = Simulator(Double(), 0, 1, shape=ONE)
    assert double.dtype == np.float64
    assert len(np.unique(double.smallest(THETA[:1], TRUTH[:1], 4000, 4000))) > 3990
    point = np.array([[1 / 3]])
    assert double.represented(point) == 1 / 3
    assert Simulator(ada.ZTest(), 0, 1, shape=ONE).represented(point) == np.float32(1 / 3)


def test_whole_numbers_tie():
    whole = Simulator(Whole(), 0, 1, shape=ONE)
    values = whole.smallest(THETA[:1], TRUTH[:1], 1000, 1000)[0]
    assert set(values.tolist()) == set(range(10))
    assert whole.count(THETA[:1], TRUTH[:1], 3.0, 0, 1000) == (values < 3).sum()
    assert whole.count(THETA[:1], TRUTH[:1], np.nextafter(3.0, 4), 0, 1000) == (values <= 3).sum()


class Heavy(ada.Model):
    """A design whose statistic needs much memory per simulation."""

    family = ada.Normal()

    def draw(self, key):
        return jax.random.normal(key, (3, 64))

    def statistic(self, draw, theta, null_truth):
        return jnp.linalg.svd(draw @ (draw.T + theta[0]), compute_uv=False)[0]


def test_blocks_shrink_for_designs_that_need_memory():
    assert Simulator(ada.ZTest(), 0, 1).shape == Shape(8192, 64)
    heavy = Simulator(Heavy(), 0, 1).shape
    assert heavy.chunk == 8192
    assert heavy.block < 64


def test_a_design_of_which_one_point_needs_more_than_its_share():
    class Heavier(Heavy):
        def draw(self, key):
            return jax.random.normal(key, (8000, 40))

        def statistic(self, draw, theta, null_truth):
            return jnp.linalg.svd(draw + theta[0], compute_uv=False)[0]

    assert Simulator(Heavier(), 0, 1, at_most=16).shape == Shape(16, 1)


@given(
    values=hnp.arrays(np.float32, hnp.array_shapes(max_dims=1, max_side=300), elements=st.floats(-5, 5, width=16)),
    m=st.integers(1, 40),
    chunk=st.sampled_from([1, 7, 64]),
)
@settings(max_examples=200)
def test_smallest_values(values, m, chunk):
    kept = SmallestValues(m, chunk, np.dtype(np.float32))
    for start in range(0, len(values), chunk):
        kept.push(values[start : start + chunk].copy())
    np.testing.assert_array_equal(kept.sorted(), np.sort(values)[:m])


@given(
    values=hnp.arrays(np.float32, (3, 64), elements=st.floats(width=32, allow_nan=True)),
    threshold=st.floats(width=32, allow_nan=False),
    weak=st.booleans(),
    ties=st.booleans(),
    begin=st.integers(0, 64),
    end=st.integers(0, 64),
)
@example(values=MIXED, threshold=0.0, weak=False, ties=False, begin=0, end=64)
@example(values=MIXED[:, ::-1].copy(), threshold=-1.0, weak=True, ties=True, begin=5, end=63)
@settings(max_examples=100)
def test_count_rejections(values, threshold, weak, ties, begin, end):
    """The device counts what the host compares."""
    values[0, ::3] = threshold  # so that some are equal
    cut, ends = RejectionLimit.of(threshold, np.dtype(np.float32), weak=weak, ties=ties), np.full(3, end, np.int32)
    counts = np.asarray(COUNT_REJECTIONS(values, cut.limit, cut.exception, np.full(3, begin, np.int32), ends))
    inside = values[:, begin : max(begin, end)]
    flushed = RejectionLimit(_flushed(cut.limit), _flushed(cut.exception))
    np.testing.assert_array_equal(counts[0], flushed.rejects(_flushed(inside)).sum(axis=1))
    np.testing.assert_array_equal(counts[1], np.isnan(inside).sum(axis=1))


def _flushed(x):
    """XLA on CPU takes subnormal numbers for zero."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)


class KeyAsDraw(ada.Model):
    """A z-test whose draw is the random key itself."""

    family = ada.Normal()

    def draw(self, key):
        return key

    def statistic(self, draw, theta, null_truth):
        return jax.random.normal(draw) + theta[0]


class HalfPrecision(ada.ZTest):
    """A z-test that is computed in half precision."""

    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth).astype(jnp.bfloat16)


@pytest.mark.parametrize("design", [KeyAsDraw, HalfPrecision])
def test_keys_as_draws_and_half_precision(design):
    simulator = Simulator(design(), 0, 1, shape=ONE)
    assert 1900 < simulator.count(THETA[:1] * 0, TRUTH[:1], 0.0, 0, 4096)[0] < 2200


class Uniform(ada.Model):
    """A design whose statistic is 0 with probability one half."""

    family = ada.Normal()

    def draw(self, key):
        return jax.random.bernoulli(key)

    def statistic(self, draw, theta, null_truth):
        return jnp.where(draw, 0.0, 1.0) + 0 * theta[0]


@pytest.mark.parametrize("threshold", [np.nextafter(0.0, 1), 1e-40, 1e-38, 1e-30, 0.5])
def test_the_least_thresholds_above_zero_reject_zero(threshold):
    """Devices take subnormal numbers for zero: a threshold must not."""
    simulator = Simulator(Uniform(), 0, 1, shape=ONE)
    assert 400 < simulator.count(THETA[:1], TRUTH[:1], threshold, 0, 1000)[0] < 600
    assert simulator.count(THETA[:1], TRUTH[:1], 0.0, 0, 1000)[0] == 0


class FourNumbers(ada.Model):
    """A design whose statistic is one of four whole numbers of some type, from `least` on."""

    family = ada.Normal()

    def __init__(self, least: int, dtype: str, reject_when: str) -> None:
        self.least, self.dtype, self.reject_when = least, dtype, reject_when

    def draw(self, key):
        return jax.random.randint(key, (), 0, 4)

    def statistic(self, draw, theta, null_truth):
        return jnp.asarray(self.least, self.dtype) + draw.astype(self.dtype)


@pytest.mark.parametrize(
    ("least", "dtype", "reject_when"),
    [
        (0, "uint8", "small"),
        (0, "uint8", "large"),
        (0, "uint32", "large"),
        (7, "uint16", "large"),
        (-128, "int8", "large"),
    ],
)
def test_whole_numbers_are_what_they_are(least, dtype, reject_when):
    """Whatever their type, also where turning them would wrap around; the four are equally likely."""
    simulator = Simulator(FourNumbers(least, dtype, reject_when), 0, 1, shape=ONE)
    sign = 1 if reject_when == "small" else -1
    for more in range(5):
        count = simulator.count(THETA[:1], TRUTH[:1], sign * (least + more - 0.0), 0, 4096)[0]
        rejecting = more if sign > 0 else max(3 - more, 0)
        assert abs(count - 1024 * rejecting) < 150
        assert (count == 0) == (rejecting == 0)


@pytest.mark.parametrize(("least", "reject_when"), [(-(2**24) + 1, "small"), (2**24 - 4, "large")])
def test_the_largest_whole_numbers_are_not_rounded(least, reject_when):
    simulator = Simulator(FourNumbers(least, "int32", reject_when), 0, 1, shape=ONE)
    values = simulator.smallest(THETA[:1], TRUTH[:1], 4096, 4096)[0]
    sign = 1 if reject_when == "small" else -1
    assert sorted(sign * np.unique(values)) == [least + more for more in range(4)]


@pytest.mark.parametrize(
    ("least", "reject_when"),
    [
        (2**24 - 3, "small"),
        (2**24 - 3, "large"),
        (2**31 - 5, "small"),
        (-(2**24) - 1, "small"),
        (-(2**24) - 1, "large"),
        (-(2**31), "large"),
    ],
)
def test_whole_numbers_that_would_be_rounded_are_refused(least, reject_when):
    with pytest.raises(ModelError, match=r"a whole number that is not below 2\*\*24"):
        Simulator(FourNumbers(least, "int32", reject_when), 0, 1, shape=ONE).count(THETA[:1], TRUTH[:1], 0.0, 0, 1000)


def test_streams_are_other_simulations_each_time_the_same(simulator):
    """Of every stream and of the seed's own; asking for another one in between changes nothing."""
    count = lambda each: each.count(THETA, TRUTH, -1.0, 0, N).tolist()
    own, first = count(simulator), count(simulator.of_stream(1))
    others = [count(simulator.of_stream(stream)) for stream in (0, 2, 1000, 1001)]
    assert count(simulator.of_stream(1)) == first
    assert count(simulator.reseeded(5).of_stream(1)) != first
    assert len({tuple(found) for found in (own, first, *others)}) == 6
    # seeds that SeedSequence would take for a stream of another seed, were it not for the last word
    assert count(simulator.reseeded(5 + 7 * 2**32).of_stream(0)) != count(simulator.reseeded(5).of_stream(7))


def test_smallest_of_a_range_of_simulations(simulator):
    """The same as the smallest of all in the range, whatever chunks it spans; ranges may differ between points."""
    begin, n_sims = np.array([0, 5, 450]), np.array([600, 40, 150])
    theta, truth = THETA[:3], TRUTH[:3]
    found = simulator.smallest(theta, truth, n_sims, 7, begin)
    for row, (first, count) in enumerate(zip(begin, n_sims, strict=True)):
        everything = [simulator.smallest(theta[[row]], truth[[row]], 1, 1, first + i)[0, 0] for i in range(count)]
        np.testing.assert_array_equal(found[row], np.sort(everything)[:7])


class Faulty(ada.ZTest):
    """A z-test that rarely fails, and only at the largest parameter."""

    def statistic(self, draw, theta, null_truth):
        return jnp.where((draw > 3) & (theta[0] >= 0), jnp.nan, super().statistic(draw, theta, null_truth))


def test_one_nan_among_many_numbers_is_found(statistics):
    simulator = Simulator(Faulty(), 3, 1, shape=Shape(512, 4))
    first = int(np.argmax(-statistics[-1] > 3))
    for call in (lambda: simulator.count(THETA, TRUTH, 0.0, 0, N), lambda: simulator.smallest(THETA, TRUTH, N, 3)):
        with pytest.raises(StatisticError, match="NaN") as error:
            call()
        assert (error.value.point, error.value.simulation) == (len(THETA) - 1, first)
