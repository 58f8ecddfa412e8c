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
# Units in the last place by which a statistic may exceed the range that is stated for it.
_ULPS = 4


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


def _room(lowest: float, highest: float, dtype: Any) -> float:
    """Return how far beyond the ends of a range a statistic of a type may be because it was rounded."""
    return (
        _ULPS
        * float(np.finfo(dtype if np.issubdtype(dtype, np.floating) else float).eps)
        * max(abs(lowest), abs(highest))
    )


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
        value = self.design.statistic_at(trial, theta, null_truth)
        value = jnp.asarray(value, jnp.result_type(value, jnp.float32))
        room = _room(lowest, highest, value.dtype)
        inside = (value >= lowest - room) & (value <= highest + room)
        share = (jnp.clip(value, lowest, highest) - lowest) / (highest - lowest)
        return jnp.where(inside, share - uniform, jnp.nan)


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
        room = _room(lowest, highest, values.dtype)
        inside = (values >= lowest - room) & (values <= highest + room)
        share = (np.clip(values, lowest, highest) - lowest) / (highest - lowest)
        return np.where(inside, share - uniform, np.nan)
