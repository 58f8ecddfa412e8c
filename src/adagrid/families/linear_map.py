"""Families whose parameters are a linear function of fewer parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers
from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families._fields import matrix, rows
from adagrid.families.family import Family, like, namespace


@final
@dataclass(frozen=True)
class LinearMap(Family):
    """A family with the parameters matrix @ theta + offset.

    A(theta) is the log-partition function of `family` at these parameters. With `Binomial` or `Poisson` the result is
    logistic or Poisson regression with fixed covariates (a canonical generalised linear model). The matrix has one row
    for each group of patients with the same covariates. Offsets fix known quantities, such as a historical rate.

    The parameter space is a polyhedron if the parameter space of `family` is a box.

    Args:
        family: distribution of the data.
        matrix: shape (family.dim, parameters), its columns linearly independent.
        offset: one number, or one for each parameter of `family`.

    Raises:
        InvalidInputError: if shapes do not fit, numbers are not finite, or columns depend on each other.

    Examples:
        A control and a treatment arm; the parameters are the control's logit and the log odds ratio:

        >>> family = ada.LinearMap(ada.Binomial((50, 50)), matrix=[[1, 0], [1, 1]])
        >>> family.coordinates
        'parameters of which matrix @ theta + offset are logits of the response probabilities'
        >>> grid = ada.cartesian_grid([-2, -1], [0, 0.5], n=2, null_hypos=["theta1 <= 0"])
    """

    family: Family
    matrix: Sequence[Sequence[float]]
    offset: float | Sequence[float] = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.family, Family):
            raise InvalidInputError(f"LinearMap needs a family, such as Binomial((50, 50)); got {self.family!r}.")
        array = matrix("LinearMap", "matrix", self.matrix)
        size = self.family.dim
        if len(array) != size:
            raise InvalidInputError(
                f"LinearMap needs a matrix with a row for each of the {size} parameters of {self.family}; "
                f"got matrix={self.matrix}."
            )
        length = np.sqrt((array**2).sum(axis=0))
        if not (length > 0).all() or np.linalg.matrix_rank(array / length) < array.shape[1]:
            raise InvalidInputError(
                "LinearMap needs a matrix with linearly independent columns, or different parameters would mean the "
                f"same distribution; got matrix={self.matrix}. Leave out the columns that others make up."
            )
        offset = real_numbers("offset", self.offset)
        if offset.shape not in ((), (size,)) or not np.isfinite(offset).all():
            raise InvalidInputError(
                f"LinearMap needs a finite offset, or one for each of the {size} parameters of {self.family}; "
                f"got offset={self.offset}."
            )
        object.__setattr__(self, "matrix", rows(array))
        object.__setattr__(self, "offset", tuple(np.broadcast_to(offset, size).tolist()))

    @property
    @override
    def dim(self) -> int:
        return len(self.matrix[0])

    @property
    @override
    def coordinates(self) -> str:
        return f"parameters of which matrix @ theta + offset are {self.family.coordinates}"

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return self.family.log_partition(self.mapped(theta))

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return self.family.cumulant(self.mapped(theta), self._moved(displacement))

    @override
    def contains(self, theta: FloatArray) -> BoolArray:
        return self.family.contains(self.mapped(theta))

    @override
    def reach(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return self.family.reach(self.mapped(theta), self._moved(displacement))

    @override
    def border(self, theta: FloatArray, displacement: FloatArray) -> str:
        rule = self.family.border(self.mapped(theta), self._moved(displacement))
        return f"after theta -> matrix @ theta + offset, {rule}"

    @property
    @override
    def separable(self) -> bool:
        one_each = (np.count_nonzero(self.matrix, axis=1) <= 1).all()
        return self.dim == 1 or (self.family.separable and bool(one_each))

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        return self.family.convex_up_to(self.mapped(theta), self._moved(displacements))

    @override
    def draw(self, key: Any) -> Any:
        """Return a draw of the family."""
        return self.family.draw(key)

    @override
    def data(self, draw: Any, theta: FloatArray) -> Any:
        """Return the data of the family at matrix @ theta + offset."""
        moved = (like(theta, self.matrix) * theta[None]).sum(axis=1)  # accelerators round matrix products more
        return self.family.data(draw, moved + like(theta, self.offset))

    @override
    def sufficient(self, data: Any) -> Array:
        """Return the transposed matrix times the family's sufficient statistic."""
        own = self.family.sufficient(data)
        mapped: Array = (namespace(own).asarray(self.matrix).T * own[None]).sum(axis=1)
        return mapped

    def mapped(self, theta: FloatArray) -> FloatArray:
        """Return the family's own parameters, shape (..., family.dim)."""
        return self._moved(theta) + np.asarray(self.offset)

    def _moved(self, displacement: FloatArray) -> FloatArray:
        return displacement @ np.asarray(self.matrix).T
