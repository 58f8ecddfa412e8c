"""Designs whose statistic is rounded at random to 0 or 1, so that its mean is the probability of an event.

With a uniform number u that nothing else depends on, P(u < x) = x for the statistic x, rescaled to [0, 1]. The mean of
a bounded statistic is thus counted and bounded as errors are.
"""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.models.arrays import ArrayModel
from adagrid.models.base import Model

# Seeds of the uniform numbers of array designs: beyond all that an engine gives.
_BEYOND = 2**64


def rounded(model: Model, value_range: tuple[float, float]) -> Model:
    """Return a design that rejects, with threshold 0, as often as the rescaled statistic of a design is on average.

    Args:
        model: the design.
        value_range: least and largest value of its statistic; another value gives NaN.
    """
    cls = _RoundedArrays if isinstance(model, ArrayModel) else _Rounded
    return cls(model, value_range)


def unrounded(model: Model) -> Model:
    """Return the design itself."""
    return model.design if isinstance(model, _Rounding) else model


def design_name(model: Model) -> str:
    """Return the name of the class of the design itself, for messages."""
    return type(unrounded(model)).__name__


class _Rounding(Model):
    """What both kinds of designs have in common."""

    reject_when = "large"

    value_range: tuple[float, float]  # type: ignore[misc]

    def __init__(self, design: Model, value_range: tuple[float, float]) -> None:
        self.design, self.family, self.value_range = design, design.family, value_range
        self.precision = design.precision  # type: ignore[misc]


@final
class _Rounded(_Rounding):
    @override
    def draw(self, key: jax.Array) -> Any:
        own, uniform = jax.random.split(key)
        return self.design.draw(own), jax.random.uniform(uniform)

    @override
    def statistic(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        lowest, highest = self.value_range
        trial, uniform = draw
        value = self.design.statistic(trial, theta, null_truth)
        value = jnp.asarray(value, jnp.result_type(value, jnp.float32))
        inside = (value >= lowest) & (value <= highest)
        return jnp.where(inside, (value - lowest) / (highest - lowest) - uniform, jnp.nan)


@final
class _RoundedArrays(_Rounding, ArrayModel):
    @override
    def simulate(self, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> Array:
        lowest, highest = self.value_range
        assert isinstance(self.design, ArrayModel)  # noqa: S101 - as `rounded` sees to
        values = np.asarray(self.design.seeded(self.seed).simulate(begin, end, theta, null_truth))
        if values.dtype.kind not in "iuf" or values.shape != (len(theta), end - begin):
            return values  # which the engine refuses
        uniform = self.seeded(self.seed + _BEYOND).uniforms(begin, end, 1)[:, 0]
        inside = (values >= lowest) & (values <= highest)
        return np.where(inside, (values - lowest) / (highest - lowest) - uniform, np.nan)
