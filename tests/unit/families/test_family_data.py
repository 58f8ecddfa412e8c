"""The data that families draw: one array per arm, in the precision of the parameters, monotone, never infinite."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import adagrid as ada
from adagrid._programs import Program, shaped
from adagrid.errors import ModelError
from adagrid.families import Family, _random

# A family, parameters, and the shapes of its data.
CASES = {
    "normal": (ada.Normal(sd=(1.0, 2.0), n=(3, 1)), [0.1, 0.2], ((3,), (1,))),
    "binomial": (ada.Binomial((4, 2)), [0.0, 1.0], ((4,), (2,))),
    "exponential": (ada.Exponential((2, 5)), [1.0, 0.1], ((2,), (5,))),
    "gamma": (ada.Gamma((0.5, 2.0), n=3), [1.0, 3.0], ((3,), (3,))),
    "sums of squares": (ada.ScaledChiSquared((4, 9)), [1.0, 2.0], (2,)),
    "poisson": (ada.Poisson((1.0, 3.0)), [0.0, 1.0], (2,)),
    "negative binomial": (ada.NegativeBinomial(2.0, n=(3, 4)), [-1.0, -0.5], ((3,), (4,))),
    "correlated": (ada.MultivariateNormal([[1.0, 0.5], [0.5, 2.0]], n=3), [0.0, 1.0], (3, 2)),
    "unknown variance": (ada.NormalUnknownVariance((3, 2)), [0.0, -0.5, 1.0, -2.0], ((3,), (2,))),
    "product": (ada.Product((ada.Binomial(4), ada.Poisson(2.0))), [0.0, 1.0], (((4,),), (1,))),
    "shared control": (ada.LinearMap(ada.Binomial((4, 2)), [[1, 0], [1, 1]]), [0.0, 1.0], ((4,), (2,))),
}


def key():
    return jax.random.key(np.uint32(0), impl="threefry2x32")


def traced(family: Family, theta, *, double: bool):
    """Return the traced data and sufficient statistic of one trial."""

    def trial(theta):
        data = family.data(family.draw(key()), theta)
        return data, family.sufficient(data)

    return Program(trial, shaped((len(theta),), np.float64 if double else np.float32), double=double).out


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("double", [False, True])
def test_shapes_and_precision(case, double):
    family, theta, shapes = CASES[case]
    data, sufficient = traced(family, theta, double=double)
    assert jax.tree.map(lambda leaf: leaf.shape, data) == shapes
    assert sufficient.shape == (family.dim,)
    real = np.dtype(np.float64 if double else np.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(data) if leaf.dtype.kind == "f"} <= {real}
    assert sufficient.dtype in (real, np.int32, np.int64)


def test_data_follow_the_parameters():
    """Common random numbers: larger logits turn patients into responders, never back; larger rates shorten times."""
    family = ada.Product((ada.Binomial(50), ada.Exponential(20)))
    draw = family.draw(key())
    before = (jnp.zeros(50, int),), (jnp.full(20, jnp.inf),)
    for logit, rate in ((-20.0, 1e-3), (-1.0, 0.5), (0.0, 0.6), (0.1, 2.0), (20.0, 1e3)):
        (responders,), (times,) = after = family.data(draw, jnp.array([logit, rate]))
        assert (responders >= before[0][0]).all()
        assert (times <= before[1][0]).all()
        before = after
    assert responders.tolist() == [1] * 50


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("bits", [0, 1, 2, 3])
@pytest.mark.parametrize("width", [32, 64])
def test_extreme_random_numbers_have_finite_logarithms(width, bits, from_end, monkeypatch):
    """Neither a uniform number of 0 nor one of 1 gives times of 0 or infinity."""
    bits = 2**width - 1 - bits if from_end else bits
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: jnp.full(shape, np.uint64(bits), dtype))
    with jax.enable_x64(width == 64):
        time, noise = (float(draw(key(), 1)[0]) for draw in (_random.exponential, _random.logistic))
    assert 0 < time < 0.75 * width
    assert abs(noise) < 0.75 * width
    assert (bits & 1 == 1) == (noise < 0) or abs(noise) < 1e-6


def test_small_shapes_never_give_zero():
    numbers = _random.gamma(key(), np.full(64, 0.001))
    assert (numbers > 0).all()
    assert jnp.isfinite(jnp.log(numbers)).all()


def test_the_parts_of_a_product_are_independent():
    """Two parts of one kind do not share their random numbers."""
    first, second = ada.Product((ada.Normal(), ada.Normal())).draw(key())
    assert first[0] != second[0]


def test_a_linear_map_draws_at_its_own_parameters():
    inner = ada.Normal(n=(2, 3))
    mapped = ada.LinearMap(inner, [[1, 0], [1, 2]], offset=(0.0, 0.5))
    draw = mapped.draw(key())
    data = mapped.data(draw, jnp.array([1.0, -0.25]))
    for own, expected in zip(data, inner.data(draw, jnp.array([1.0, 1.0])), strict=True):
        assert_array_equal(own, expected)


def test_families_without_data_say_so():
    class Own(Family):
        dim = 1
        coordinates = "means"

        def log_partition(self, theta):
            return theta[..., 0] ** 2 / 2

    for call in (lambda: Own().draw(None), lambda: Own().data(None, None), lambda: Own().sufficient(None)):
        with pytest.raises(ModelError, match="Own does not say how its data are drawn. Write its methods draw, data"):
            call()
