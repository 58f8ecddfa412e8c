"""Rounds bounded statistics at random to 0 or 1, so that their mean is the probability of an event.

With a uniform number u that nothing else depends on, P(u < x) = x for the statistic x, rescaled to [0, 1]. The mean of
a bounded statistic is thus counted and bounded as errors are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._typing import Array, FloatArray
from adagrid.models import ArrayModel

# Seeds of the uniform numbers of array designs: beyond all that an engine gives.
_BEYOND = 2**64
# Units in the last place by which a statistic may exceed the range that is stated for it.
_ULPS = 4


@final
@dataclass(frozen=True)
class Rounding:
    """The event that a statistic, rescaled to [0, 1], is above a uniform number.

    What is compared with the threshold 0 is the difference of the two, which is NaN for statistics beyond their range.

    Args:
        lowest: least value of the statistic.
        highest: its largest value.
    """

    lowest: float
    highest: float

    direction: ClassVar[float] = -1.0
    """Large differences reject, as in `Model.direction`; one that equals the threshold does not."""

    def draw(self, draw: Callable[[jax.Array], Any], key: jax.Array) -> tuple[Any, jax.Array]:
        """Return what a design draws from a key, and a uniform number."""
        own, uniform = jax.random.split(key)
        return draw(own), jax.random.uniform(uniform)

    def difference(self, statistic: jax.Array, uniform: jax.Array) -> jax.Array:
        """Return the difference of one trial."""
        lowest, highest = self.lowest, self.highest
        value = jnp.asarray(statistic, jnp.result_type(statistic, jnp.float32))
        room = self._room(value.dtype)
        inside = (value >= lowest - room) & (value <= highest + room)
        share = (jnp.clip(value, lowest, highest) - lowest) / (highest - lowest)
        return jnp.where(inside, share - uniform, jnp.nan)

    def differences(self, statistics: Array, model: ArrayModel, begin: int, end: int) -> FloatArray:
        """Return the differences of the simulations begin to end of an array design, shape (points, simulations).

        Args:
            statistics: its statistics, same shape.
            model: the design, with the seed of the simulations.
            begin: first simulation.
            end: one past the last simulation.
        """
        lowest, highest = self.lowest, self.highest
        uniform = model.seeded(model.seed + _BEYOND).uniforms(begin, end, 1)[:, 0]
        room = self._room(statistics.dtype)
        inside = (statistics >= lowest - room) & (statistics <= highest + room)
        share = (np.clip(statistics, lowest, highest) - lowest) / (highest - lowest)
        return np.where(inside, share - uniform, np.nan)

    def _room(self, dtype: Any) -> float:
        """Return how far beyond the ends of the range a statistic of a type may be because it was rounded."""
        precision = np.finfo(dtype if np.issubdtype(dtype, np.floating) else float).eps
        return _ULPS * float(precision) * max(abs(self.lowest), abs(self.highest))
