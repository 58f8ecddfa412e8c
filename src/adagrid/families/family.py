"""The extension point for exponential families."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.errors import ModelError


def namespace(array: FloatArray) -> ModuleType:
    """Return the array's module: NumPy, or JAX while it compiles a bound."""
    module: ModuleType = array.__array_namespace__()
    return module


def like(theta: FloatArray, numbers: Any) -> FloatArray:
    """Return numbers as an array of the kind and precision of theta."""
    array: FloatArray = namespace(theta).asarray(numbers, dtype=theta.dtype)
    return array


def softplus(theta: FloatArray) -> FloatArray:
    """Return log(1 + exp(theta)), elementwise."""
    xp = namespace(theta)
    if xp is not np:
        return xp.logaddexp(0.0, theta)  # JAX knows its gradient
    # NumPy's logaddexp is several times slower.
    return np.maximum(theta, 0.0) + np.log1p(np.exp(-np.abs(theta)))


class Family(ABC):
    """An exponential family for the data of one trial.

    The data X have density exp(theta . T(X) - A(theta)) with respect to some measure, where theta are the
    natural parameters and A is the log-partition function. Certificates need A only, and neither T, nor the measure,
    nor a sampler. Designs whose data the family draws (`adagrid.Design`) also need T and a sampler. Parameters may be a
    linear map of the natural ones, such as means of normal observations or rates of waiting times: T changes with them.

    To add a family, write a frozen dataclass in its own file in this package. The file has the name of the class.
    Define `dim`, `coordinates`, `log_partition`, and `domain` if the natural parameter space is not all of R^d.
    Override `cumulant` where the difference of two log-partitions can be computed without cancellation. Override
    `separable` if each parameter governs separate, independent data: bounds of tiles are valid either way, and then
    tighter. Override `contains`, `reach` and `border` if the natural parameter space is no box.

    Methods are pure, work in float64 and broadcast over leading axes. `log_partition` and `cumulant` take NumPy and
    JAX arrays, with the functions of `namespace(theta)`, and JAX differentiates them. `draw`, `data` and `sufficient`
    handle one trial, and JAX compiles them; omit them if no design lets the family draw. Fields are numbers, tuples of
    numbers, or families, so that a job can record them. Check the class with `adagrid.testing.FamilyContract`.

    Examples:
        Waiting times of n failures, for designs that draw their own data:

        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> from adagrid.families.family import namespace
        >>> @dataclass(frozen=True, repr=False)
        ... class Erlang(ada.Family):
        ...     n: int
        ...     dim = 1
        ...     coordinates = "the negative rate, the natural parameter"
        ...     domain = (np.array([-np.inf]), np.array([0.0]))
        ...
        ...     def log_partition(self, theta):
        ...         return -self.n * namespace(theta).log(-theta[..., 0])
        >>> Erlang(20)
        Erlang(n=20)
        >>> round(float(Erlang(20).log_partition(np.array([-0.5]))), 2)
        13.86
    """

    def __repr__(self) -> str:
        """Return the class and its fields, as a job records them."""
        fields = ", ".join(f"{name}={value!r}" for name, value in sorted(vars(self).items()))
        return f"{type(self).__name__}({fields})"

    @property
    @abstractmethod
    def dim(self) -> int:
        """Number of parameters."""

    @property
    @abstractmethod
    def coordinates(self) -> str:
        """Description of the parameters, for messages and reports."""

    @abstractmethod
    def log_partition(self, theta: FloatArray) -> FloatArray:
        """Return A(theta).

        Args:
            theta: parameters, shape (..., dim), inside `domain`.

        Returns:
            Shape (...).
        """

    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the cumulant generating function of T under theta.

        It is A(theta + displacement) - A(theta).

        Args:
            theta: parameters, shape (..., dim).
            displacement: shape (..., dim), broadcast against theta.

        Returns:
            Shape (...). The rounding error may be a few units in the last place of |A(theta)| plus the result, plus the
            effect of a few units in the last place of the displacement.
        """
        return self.log_partition(theta + displacement) - self.log_partition(theta)

    @property
    def scales(self) -> tuple[str, ...]:
        """Scale in which users may state each parameter (`adagrid.grid.scales`)."""
        return ("natural",) * self.dim

    # The data of one trial

    def draw(self, key: Any) -> Any:
        """Return the random numbers of one trial, common to all parameters.

        Args:
            key: a JAX random key.

        Returns:
            A pytree of JAX arrays, of the same shapes and types for every key.

        Raises:
            ModelError: if the family does not say how its data are drawn.
        """
        del key
        self._refuse_to_draw()

    def data(self, draw: Any, theta: FloatArray) -> Any:
        """Return the data of one trial, patient by patient where possible.

        Args:
            draw: what `draw` returned.
            theta: parameters, shape (dim,), inside `domain`.

        Returns:
            A pytree of JAX arrays, whose real numbers have the precision of theta.

        Raises:
            ModelError: if the family does not say how its data are drawn.
        """
        del draw, theta
        self._refuse_to_draw()

    def sufficient(self, data: Any) -> Array:
        """Return T, the sufficient statistic.

        Its mean is the gradient of A, and its covariance is the Hessian of A.

        Args:
            data: what `data` returned.

        Returns:
            Shape (dim,); whole numbers where T counts.

        Raises:
            ModelError: if the family does not say how its data are drawn.
        """
        del data
        self._refuse_to_draw()

    def _refuse_to_draw(self) -> NoReturn:
        raise ModelError(
            f"{type(self).__name__} does not say how its data are drawn. Write its methods draw, data and sufficient, "
            "or a design with methods draw and statistic of its own (adagrid.Model)."
        )

    # The natural parameter space

    @property
    def domain(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of an open box, each of shape (dim,).

        The natural parameter space is this box, or a part of it if `contains`, `reach` and `border` are overridden.
        """
        return np.full(self.dim, -np.inf), np.full(self.dim, np.inf)

    def contains(self, theta: FloatArray) -> BoolArray:
        """Return which parameters of shape (..., dim) are in the natural space."""
        lower, upper = self.domain
        return np.all((theta > lower) & (theta < upper), axis=-1)

    def reach(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the least s >= 0 at which theta + s displacement leaves the space.

        Args:
            theta: parameters, shape (..., dim).
            displacement: shape (..., dim), broadcast against theta.

        Returns:
            Shape (...); infinite where no s leaves the open space, 0 where theta itself is outside.
        """
        nearest = self._ways_out(theta, displacement).min(axis=-1)
        return np.where(self.contains(theta), nearest, 0.0)

    def border(self, theta: FloatArray, displacement: FloatArray) -> str:
        """Describe the first rule that theta + displacement breaks, for messages.

        If the point breaks no rule, it is the first rule that breaks farther along the displacement.

        Args:
            theta: parameters, shape (dim,).
            displacement: shape (dim,).
        """
        lower, upper = self.domain
        there = theta + displacement
        inside = (theta > lower) & (theta < upper)
        i = int(np.argmin(np.where(inside, self._ways_out(theta, displacement), -np.inf)))
        below = there[i] >= upper[i] or (there[i] > lower[i] and displacement[i] > 0)
        return f"theta[{i}] must be {f'below {upper[i]:g}' if below else f'above {lower[i]:g}'}, but is {there[i]:g}"

    def _ways_out(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the multiples of a displacement that leave each interval.

        Returns:
            Shape (..., dim).
        """
        lower, upper = self.domain
        room = np.where(displacement > 0, upper - theta, lower - theta)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(displacement == 0, np.inf, room / displacement)

    # The worst parameters of a tile

    @property
    def separable(self) -> bool:
        """Whether A is a sum of functions of one parameter each.

        The tilt bound with any q is then largest at a vertex of a box.
        """
        return self.dim == 1

    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the q up to which the tilt bound is largest at vertices.

        The bound is largest at a vertex of any polytope if A(theta + q v) / q - A(theta + v) is convex in v. For this,
        it suffices that the Hessian of A falls from theta + v to theta + q v by a factor of q at most. `separable`
        covers boxes only; this method also covers images of boxes under linear maps. A bound is valid without either,
        but wider.

        Args:
            theta: parameters, shape (tiles, 1, dim).
            displacements: vertices of polytopes, shape (tiles, vertices, dim).

        Returns:
            For each polytope a number such that the rule holds for all v in the polytope and all q from 1 + exp(-16) to
            this number; at most 1 if no proof is known. Shape (tiles,).
        """
        del displacements
        return np.ones(len(theta))
