"""The extension point for designs that make arrays of statistics, in NumPy or with anything that Python can call."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any, ClassVar, Literal, NoReturn, Self, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.models.model import Model


class ArrayModel(Model):
    """A trial design that simulates many trials at many parameters in one call, without JAX.

    Use it for what JAX cannot express: statistics of SciPy, tables, simulators in other languages. Set `family` and
    `reject_when` as in `Model`, and write `simulate`. It must be a pure function of its arguments, `self.seed` and
    the constructor's arguments:

    - simulation i is the same trial whatever `begin` and `end` are, and whatever parameters are asked for with it;
    - every parameter value sees the same randomness (common random numbers);
    - another `seed` gives independent trials: what is certified is simulated with seeds of its own.

    `uniforms` keeps all three: turn its numbers into data by inverse distribution functions. When a job starts, the
    engine tries the first and the last. Check a design with `adagrid.testing.ArrayModelContract`.
    """

    precision: ClassVar[Literal["single", "double"]] = "double"
    seed: int = 0
    """Seed of the simulations; set by the engine."""

    @abstractmethod
    def simulate(self, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> Array:
        """Return the test statistics of simulations begin to end at some parameters.

        Args:
            begin: first simulation.
            end: one past the last simulation.
            theta: parameters, shape (points, family.dim), in the family's coordinates.
            null_truth: which null hypotheses are true, shape (points, hypotheses).

        Returns:
            Real numbers, shape (points, end - begin), never NaN.
        """

    @final
    def uniforms(self, begin: int, end: int, count: int) -> FloatArray:
        """Return random numbers between 0 and 1, excluding both, `count` for each of the simulations begin to end.

        A counter-based generator (Philox): the numbers of a simulation depend on `seed`, its index and `count`.

        Returns:
            Shape (end - begin, count).
        """
        blocks = -(-count // 4)  # one step of the counter gives four numbers
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=begin * blocks))
        return np.maximum(generator.random((end - begin, 4 * blocks))[:, :count], 2.0**-54)

    @final
    def seeded(self, seed: int) -> Self:
        """Return the same design with other simulations."""
        other = copy(self)
        other.seed = seed
        return other

    @final
    @override
    def draw(self, key: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} simulates arrays of trials: call simulate.")

    @final
    @override
    def statistic(self, draw: Any, theta: Any, null_truth: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} simulates arrays of trials: call simulate.")
