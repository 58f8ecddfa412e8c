"""The extension point for exponential families."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType

import numpy as np

from adagrid._typing import BoolArray, FloatArray


def namespace(array: FloatArray) -> ModuleType:
    """Return the module whose functions work on an array: NumPy's, or JAX's while a bound is being compiled."""
    module: ModuleType = array.__array_namespace__()
    return module


class Family(ABC):
    """An exponential family of distributions for the data of one trial.

    The data X have density exp(theta . T(X) - A(theta)) with respect to some measure, where theta are the
    natural parameters and A is the log-partition function. The certificates need A and nothing else: neither
    T, nor the measure, nor how the data are drawn.

    To add a family, write a frozen dataclass in a file of its own in this package with
    `dim`, `coordinates`, `log_partition`, and `domain` if the natural parameter space is not all of R^d.
    Override `cumulant` where the difference of two log-partitions can be computed without cancellation.
    Methods are pure, work in float64, broadcast over leading axes, and take NumPy and JAX arrays alike: they use
    the functions of `namespace(theta)`, of which gradients are taken. Check the class with
    `adagrid.testing.FamilyContract`.
    """

    def __repr__(self) -> str:
        """Return the class and its attributes: what a job records, the same in every process."""
        fields = ", ".join(f"{name}={value!r}" for name, value in sorted(vars(self).items()))
        return f"{type(self).__name__}({fields})"

    @property
    @abstractmethod
    def dim(self) -> int:
        """Number of parameters."""

    @property
    @abstractmethod
    def coordinates(self) -> str:
        """What the parameters are, in words, for messages and reports."""

    @abstractmethod
    def log_partition(self, theta: FloatArray) -> FloatArray:
        """Return A(theta).

        Args:
            theta: parameters, shape (..., dim), inside `domain`.

        Returns:
            Shape (...).
        """

    @property
    def domain(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of the open natural parameter space, each of shape (dim,)."""
        return np.full(self.dim, -np.inf), np.full(self.dim, np.inf)

    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the cumulant generating function of T under theta, A(theta + displacement) - A(theta).

        Args:
            theta: parameters, shape (..., dim).
            displacement: shape (..., dim), broadcast against theta.

        Returns:
            Shape (...). The rounding error may be a few units in the last place of |A(theta)| plus the result.
        """
        return self.log_partition(theta + displacement) - self.log_partition(theta)

    def contains(self, theta: FloatArray) -> BoolArray:
        """Tell whether parameters of shape (..., dim) lie in the natural parameter space."""
        lower, upper = self.domain
        return np.all((theta > lower) & (theta < upper), axis=-1)
