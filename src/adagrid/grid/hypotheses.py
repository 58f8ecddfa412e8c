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
    """A closed set of parameters where rejection is an error.

    Half-spaces cut tiles exactly. To state any other set, write a subclass. It is a frozen dataclass whose fields are
    numbers, strings, or sequences of these, because a job records them. It defines

    - `dist(theta)`: at least 0 where the hypothesis is true, and below 0 where it is false;
    - `describe()`: the hypothesis in words;
    - either `lipschitz`, a field, class attribute or property: a number L with
      |dist(a) - dist(b)| <= L |a - b| (Euclidean) for all parameters of the region;
      or `side`, which decides whole boxes (by monotonicity, or interval arithmetic).

    Methods are vectorised: `theta[..., 0]` is the first parameter of every point. adagrid compares `lipschitz` and
    `side` with `dist` at the points that it visits, and trusts them everywhere else: a wrong constant makes a wrong
    certificate.

    On a tile that the boundary may cross, the hypothesis counts as true, and all its rejections are errors. This can
    only overstate the error, because designs never count fewer rejections when more hypotheses are true.

    Examples:
        The product of two means is at most 1, for means between 0 and 2:

        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class SmallProduct(ada.NullHypothesis):
        ...     lipschitz: float = 2.83
        ...
        ...     def dist(self, theta):
        ...         return 1 - theta[..., 0] * theta[..., 1]
        ...
        ...     def describe(self):
        ...         return "theta0 * theta1 <= 1"
        >>> ada.cartesian_grid([0, 0], [2, 2], n=2, null_hypos=[SmallProduct()])
        <Grid: ... tiles, theta0 0 to 2, theta1 0 to 2; null: theta0 * theta1 <= 1>
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
        """Numbers of the parameters that must be logits of probabilities.

        A job refuses the hypothesis if its family has different parameters there.
        """
        return ()

    def side(self, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Return on which side of the boundary whole boxes lie.

        By default the distance of the centre decides, if it is larger than its possible change within the box according
        to `lipschitz`. The answer is 0 when in doubt, and within rounding errors.

        Args:
            lower: lower corners, shape (boxes, dim).
            upper: upper corners, shape (boxes, dim).

        Returns:
            Shape (boxes,): 1 if the hypothesis is true everywhere in the closed box, -1 if it is true nowhere in it, 0
            if it may be true in a part of it.

        Raises:
            InvalidInputError: if the class has no `lipschitz` and does not override `side`.
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
        """Return a generous bound of the rounding errors of distances, given `lipschitz`."""
        reach: FloatArray = float(getattr(self, "lipschitz", 0.0)) * np.sqrt(np.sum(theta**2, axis=-1))
        return _ROUNDING * (np.abs(distance) + reach)

    def in_dimension(self, dim: int) -> Self:
        """Return the same hypothesis about exactly `dim` parameters.

        Raises:
            InvalidInputError: if the hypothesis needs a different number of parameters.
        """
        del dim
        return self


def split_half_spaces(
    hypotheses: Sequence[NullHypothesis],
) -> tuple[Mapping[int, HalfSpace], Mapping[int, NullHypothesis]]:
    """Return the half-spaces and the curved hypotheses, by their positions."""
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

    Examples:
        The treatment's mean exceeds the control's by at most 0.1; `hypo` reads the same from text:

        >>> ada.HalfSpace([-1, 1], offset=0.1).describe()
        'theta1 - theta0 <= 0.1'
        >>> ada.hypo("theta1 <= theta0 + 0.1")
        HalfSpace(normal=(-1.0, 1.0), offset=0.1)
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
            InvalidInputError: if the half-space needs more parameters than the grid has.
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
