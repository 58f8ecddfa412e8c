"""A statistic that is rounded at random rejects as often as it is on average, whatever the trial's numbers are."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.errors import ModelError


class Uniform(ada.Model):
    """A design whose statistic is a uniform number."""

    family = ada.Normal()

    def draw(self, key):
        return jax.random.uniform(key)

    def statistic(self, draw, theta, null_truth):
        return draw


class UniformInArrays(ada.ArrayModel):
    """The same in NumPy."""

    family = ada.Normal()

    def simulate(self, begin, end, theta, null_truth):
        return np.repeat(self.uniforms(begin, end, 1).T, len(theta), axis=0)


class Constant(Uniform):
    """A design that draws nothing from the key."""

    def draw(self, key):
        return jax.numpy.full((), 0.5)


@pytest.mark.parametrize("model", [Uniform(), UniformInArrays()], ids=["JAX", "NumPy"])
@pytest.mark.parametrize(("ends", "mean"), [((0.0, 1.0), 0.5), ((-1.0, 3.0), 0.375)])
def test_the_rate_of_rejections_is_the_rescaled_mean(model, ends, mean):
    simulator, n = Simulator(model, 0, 1, value_range=ends), 4096
    count = simulator.count(np.zeros((1, 1)), np.ones((1, 1), bool), 0.0, 0, n)[0]
    assert abs(count / n - mean) < 4 * np.sqrt(mean * (1 - mean) / n)


def test_rounding_does_not_hide_that_a_design_draws_nothing():
    with pytest.raises(ModelError, match=r"Constant.draw must be random"):
        Simulator(Constant(), 0, 1, at_most=16, value_range=(0.0, 1.0))
