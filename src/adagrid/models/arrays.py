"""The extension point for designs that return arrays of statistics, from NumPy or any code that Python can call."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any, ClassVar, Literal, NoReturn, Self, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.models.model import Model


class ArrayModel(Model):
    """A trial design that simulates arrays of trials without JAX.

    Use it for statistics that JAX cannot express: functions of SciPy, tables, simulators in other languages. Set
    `family` and `reject_when` as in `Model`, and write `simulate`. It must be a pure function of its arguments,
    `self.seed` and the constructor's arguments:

    - Simulation i is the same trial for all values of `begin` and `end`, and for all parameters in the same call.
    - Every parameter value gets the same random numbers (common random numbers).
    - Different seeds give independent trials. Certificates use seeds of their own.

    Random numbers from `uniforms` satisfy all three rules: turn them into data by inverse distribution functions. When
    a job starts, the engine checks the first and the last rule. Check a design with
    `adagrid.testing.ArrayModelContract`.

    Examples:
        A z-test of one mean in NumPy and SciPy:

        >>> import numpy as np
        >>> from scipy.stats import norm
        >>> class ArrayZ(ada.ArrayModel):
        ...     family = ada.Normal(sd=1.0, n=25)
        ...     reject_when = "large"
        ...
        ...     def simulate(self, begin, end, theta, null_truth):
        ...         noise = norm.ppf(self.uniforms(begin, end, 1)).T  # shape (1, simulations)
        ...         return noise + 25**0.5 * theta  # shape (points, simulations)
        >>> ArrayZ().simulate(0, 1000, theta=np.array([[-0.2], [0.0]]), null_truth=None).shape
        (2, 1000)
    """

    precision: ClassVar[Literal["single", "double"]] = "double"
    seed: int = 0
    """Seed of the simulations; set by the engine."""

    @abstractmethod
    def simulate(self, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> Array:
        """Return test statistics of many simulations at many parameters.

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
        """Return `count` random numbers for each of the simulations begin to end.

        They lie between 0 and 1, excluding both. The generator is counter-based (Philox): the numbers of a simulation
        depend on `seed`, the index of the simulation and `count` only.

        Returns:
            Shape (end - begin, count).
        """
        blocks = -(-count // 4)  # one step of the counter gives four numbers
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=begin * blocks))
        return np.maximum(generator.random((end - begin, 4 * blocks))[:, :count], 2.0**-54)

    @final
    def seeded(self, seed: int) -> Self:
        """Return the same design with the simulations of another seed."""
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
