"""The extension point for exponential families."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.errors import ModelError


def namespace(array: FloatArray) -> ModuleType:
    """Return the module whose functions work on an array: NumPy's, or JAX's while a bound is being compiled."""
    module: ModuleType = array.__array_namespace__()
    return module


def like(theta: FloatArray, numbers: Any) -> FloatArray:
    """Return numbers as an array of the kind and precision of theta."""
    array: FloatArray = namespace(theta).asarray(numbers, dtype=theta.dtype)
    return array


def softplus(theta: FloatArray) -> FloatArray:
    """Return log(1 + exp(theta)), number by number."""
    xp = namespace(theta)
    if xp is not np:
        return xp.logaddexp(0.0, theta)  # whose gradient JAX knows
    # NumPy's logaddexp takes several times as long
    return np.maximum(theta, 0.0) + np.log1p(np.exp(-np.abs(theta)))


class Family(ABC):
    """An exponential family of distributions for the data of one trial.

    The data X have density exp(theta . T(X) - A(theta)) with respect to some measure, where theta are the
    natural parameters and A is the log-partition function. The certificates need A and nothing else: neither
    T, nor the measure, nor how the data are drawn. Designs whose data the family draws (`adagrid.Design`) need
    these, too. A family whose parameters are a linear map of the natural ones (means of normal observations, rates of
    waiting times) is one as well, with another T.

    To add a family, write a frozen dataclass in a file of its own in this package, named as the class, with
    `dim`, `coordinates`, `log_partition`, and `domain` if the natural parameter space is not all of R^d.
    Override `cumulant` where the difference of two log-partitions can be computed without cancellation, and
    `separable` if every parameter belongs to data of its own: bounds of tiles are then as tight as can be. (They are
    valid without.) If the natural parameter space is no box, override `contains`, `reach` and `border`.
    Methods are pure, work in float64 and broadcast over leading axes. `log_partition` and `cumulant` take NumPy and
    JAX arrays alike: they use the functions of `namespace(theta)`, of which gradients are taken. `draw`, `data` and
    `sufficient` are for one trial and are compiled by JAX; leave them out where no design lets the family draw. Fields
    are numbers, tuples of them, or families, so that a job can write them down. Check the class with
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

    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return the cumulant generating function of T under theta, A(theta + displacement) - A(theta).

        Args:
            theta: parameters, shape (..., dim).
            displacement: shape (..., dim), broadcast against theta.

        Returns:
            Shape (...). The rounding error may be a few units in the last place of |A(theta)| plus the result, and
            what a few units in the last place of the displacement make.
        """
        return self.log_partition(theta + displacement) - self.log_partition(theta)

    @property
    def scales(self) -> tuple[str, ...]:
        """In which scale, other than the natural one, people may state each parameter (`adagrid.grid.scales`)."""
        return ("natural",) * self.dim

    # The data of one trial

    def draw(self, key: Any) -> Any:
        """Return the randomness of one trial, which every parameter value shares.

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
        """Return the complete data of one trial, patient by patient where the family has patients.

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
        """Return T, the sufficient statistic whose mean is the gradient of A and whose covariance its Hessian.

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
        """Lower and upper ends of an open box around the natural parameter space, each of shape (dim,).

        The space is this box itself, unless `contains`, `reach` and `border` say otherwise.
        """
        return np.full(self.dim, -np.inf), np.full(self.dim, np.inf)

    def contains(self, theta: FloatArray) -> BoolArray:
        """Tell whether parameters of shape (..., dim) lie in the natural parameter space."""
        lower, upper = self.domain
        return np.all((theta > lower) & (theta < upper), axis=-1)

    def reach(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return how far one can go: the least s >= 0 at which theta + s displacement leaves the (open) space.

        Args:
            theta: parameters, shape (..., dim).
            displacement: shape (..., dim), broadcast against theta.

        Returns:
            Shape (...); infinite where the space has no end, 0 where theta itself is outside.
        """
        nearest = self._ways_out(theta, displacement).min(axis=-1)
        return np.where(self.contains(theta), nearest, 0.0)

    def border(self, theta: FloatArray, displacement: FloatArray) -> str:
        """Say which rule a point breaks, or breaks first beyond it, for messages.

        Args:
            theta: where one comes from, shape (dim,).
            displacement: the way to the point, shape (dim,).
        """
        lower, upper = self.domain
        there = theta + displacement
        inside = (theta > lower) & (theta < upper)
        i = int(np.argmin(np.where(inside, self._ways_out(theta, displacement), -np.inf)))
        below = there[i] >= upper[i] or (there[i] > lower[i] and displacement[i] > 0)
        return f"theta[{i}] must be {f'below {upper[i]:g}' if below else f'above {lower[i]:g}'}, but is {there[i]:g}"

    def _ways_out(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        """Return at which multiple of a displacement each parameter leaves its interval, shape (..., dim)."""
        lower, upper = self.domain
        room = np.where(displacement > 0, upper - theta, lower - theta)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(displacement == 0, np.inf, room / displacement)

    # Where the worst parameters of a tile are

    @property
    def separable(self) -> bool:
        """Whether A is a sum of functions of one parameter each.

        The tilt bound with any q is then largest at a vertex of a box.
        """
        return self.dim == 1

    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return up to which q the tilt bound is proven to be largest at the vertices of any polytope.

        That is so where A(theta + q v) / q - A(theta + v) is convex in v, for which it suffices that the Hessian of A
        falls on the way from theta + v to theta + q v by a factor of q at most. Both orders hold: `separable`
        serves boxes, this also the images of boxes under linear maps. A bound is valid without either, but wider.

        Args:
            theta: parameters, shape (tiles, 1, dim).
            displacements: vertices of polytopes, shape (tiles, vertices, dim).

        Returns:
            For each polytope a number such that the rule holds for all v in it and all q from 1 + exp(-16) to that
            number; at most 1 if nothing is known. Shape (tiles,).
        """
        del displacements
        return np.ones(len(theta))
