"""Null hypotheses: sets of parameters, each described by its signed distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np
from typing_extensions import override

from adagrid._checks import real_number, real_numbers
from adagrid._typing import FloatArray, IntArray
from adagrid.errors import InvalidInputError

_MODERATE = (1e-100, 1e100)
# What `dist` may be wrong by, relative to the values and distances that enter it.
_ROUNDING = 1e-9


class NullHypothesis(ABC):
    """A closed set of parameters in which rejecting is an error.

    Half-spaces cut tiles exactly. To state any other set, subclass this as a frozen dataclass whose fields are
    numbers, strings, or sequences of these (they are what a job writes down), and give it

    - `dist(theta)`, at least 0 where the hypothesis is true and below 0 where it is not;
    - `describe()`, the hypothesis in words;
    - either `lipschitz`, as a field, class attribute or property: a number L with
      |dist(a) - dist(b)| <= L |a - b| (Euclidean) for all parameters of the region;
      or an own `side`, which tells what holds on whole boxes (by monotonicity, or intervals).

    Everything is vectorised: `theta[..., 0]` is the first parameter of every point. Both ways are trusted where they
    are not contradicted by `dist` at points that are looked at: a wrong constant is a wrong certificate.

    On a tile that the boundary may cross the hypothesis counts as true: all its rejections there are errors. That
    only overstates the error, given that designs never count fewer rejections where more hypotheses are true.
    """

    @abstractmethod
    def dist(self, theta: FloatArray) -> FloatArray:
        """Return signed distances from the boundary, positive inside the null hypothesis.

        Any continuous function with the right sign will do, in any unit.

        Args:
            theta: shape (..., dim).

        Returns:
            Shape (...).
        """

    @abstractmethod
    def describe(self) -> str:
        """Return the hypothesis in words or as an inequality."""

    @property
    def probabilities(self) -> tuple[int, ...]:
        """Numbers of the parameters that it takes for logits of probabilities: those of another family are refused."""
        return ()

    def side(self, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Tell on which side of the boundary whole boxes lie. When in doubt, and within rounding: 0.

        Unless overridden, the distance of the centre decides, if it is more than what `lipschitz` allows it to
        change by within the box.

        Args:
            lower: lower corners, shape (boxes, dim).
            upper: upper corners, shape (boxes, dim).

        Returns:
            1 where the hypothesis is true all over the (closed) box, -1 where it is true nowhere in it, 0 where
            it may be both, shape (boxes,).

        Raises:
            InvalidInputError: if there is neither an own `side` nor `lipschitz`.
        """
        if not hasattr(self, "lipschitz"):
            raise InvalidInputError(
                f"{type(self).__name__} needs `lipschitz`, the most that dist changes per unit of theta, or its own "
                "side(lower, upper): without them nobody knows where between two points its boundary runs."
            )
        radius = (upper - lower) / 2
        centre = lower + radius
        distance, width = self.dist(centre), np.sqrt(np.sum(radius**2, axis=1))
        reach = float(self.lipschitz) * width + self.rounding(centre, distance)
        return np.where(distance > reach, 1, np.where(distance < -reach, -1, 0))

    def rounding(self, theta: FloatArray, distance: FloatArray) -> FloatArray:
        """Return by how much distances at points may be wrong, generously, given `lipschitz`."""
        reach: FloatArray = float(getattr(self, "lipschitz", 0.0)) * np.sqrt(np.sum(theta**2, axis=-1))
        return _ROUNDING * (np.abs(distance) + reach)

    def in_dimension(self, dim: int) -> Self:
        """Return the same hypothesis about exactly `dim` parameters.

        Raises:
            InvalidInputError: if it needs others.
        """
        del dim
        return self


def split_half_spaces(
    hypotheses: Sequence[NullHypothesis],
) -> tuple[Mapping[int, HalfSpace], Mapping[int, NullHypothesis]]:
    """Return the half-spaces, which cut tiles exactly, and all others, by their positions."""
    planes = {j: plane for j, plane in enumerate(hypotheses) if isinstance(plane, HalfSpace)}
    return planes, {j: other for j, other in enumerate(hypotheses) if j not in planes}


@final
@dataclass(frozen=True)
class HalfSpace(NullHypothesis):
    """The null hypothesis normal . theta <= offset.

    Args:
        normal: one coefficient per parameter; missing trailing ones are zero.
        offset: right-hand side.

    Raises:
        InvalidInputError: if a number is not finite or all coefficients are zero.
    """

    normal: Sequence[float]
    offset: float
    lipschitz: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        normal = real_numbers("normal", self.normal)
        if normal.ndim != 1 or not np.isfinite(normal).all() or not normal.any():
            raise InvalidInputError(
                f"A half-space needs finite coefficients that are not all zero; got normal={self.normal}."
            )
        offset = real_number("offset", self.offset)
        if not np.isfinite(offset):
            raise InvalidInputError(f"A half-space needs a finite offset; got offset={self.offset}.")
        largest = float(np.abs(normal).max())
        if not _MODERATE[0] <= largest <= _MODERATE[1]:  # squares of the coefficients must not over- or underflow
            normal, offset = normal / largest, offset / largest
        if not np.isfinite(offset):
            raise InvalidInputError(
                f"The offset is too large for the coefficients; got normal={self.normal}, offset={self.offset}."
            )
        object.__setattr__(self, "normal", tuple(normal.tolist()))
        object.__setattr__(self, "offset", offset)

    @override
    def in_dimension(self, dim: int) -> HalfSpace:
        """Return the same half-space with exactly `dim` coefficients.

        Raises:
            InvalidInputError: if it needs more parameters than there are.
        """
        if any(self.normal[dim:]):
            raise InvalidInputError(
                f"The null hypothesis {self.describe()} uses theta{len(self.normal) - 1}, but the grid has only "
                f"{dim} parameters (theta0 to theta{dim - 1})."
            )
        return HalfSpace((*self.normal[:dim], *[0.0] * (dim - len(self.normal))), self.offset)

    @override
    def dist(self, theta: FloatArray) -> FloatArray:
        normal = np.asarray(self.normal)
        return (self.offset - np.sum(theta * normal, axis=-1)) / np.sqrt(np.sum(normal**2))

    @override
    def describe(self) -> str:
        turned = max(self.normal) <= 0  # "theta0 >= 1" reads better than "- theta0 <= -1"
        sign, relation = (-1.0, ">=") if turned else (1.0, "<=")
        weights = [(i, sign * weight) for i, weight in enumerate(self.normal) if weight]
        terms = [
            f"{'-' if weight < 0 else '+'} {'' if abs(weight) == 1 else f'{abs(weight):.10g}*'}theta{i}"
            for i, weight in sorted(weights, key=lambda term: term[1] < 0)
        ]
        return f"{' '.join(terms).removeprefix('+ ')} {relation} {sign * self.offset + 0.0:.10g}"
