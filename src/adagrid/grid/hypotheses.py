"""Null hypotheses: sets of parameters, each described by its signed distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError

_MODERATE = (1e-100, 1e100)


class NullHypothesis(ABC):
    """A closed set of parameters in which rejecting is an error."""

    @abstractmethod
    def dist(self, theta: FloatArray) -> FloatArray:
        """Return signed distances from the boundary, positive inside the null hypothesis.

        Args:
            theta: shape (..., dim).

        Returns:
            Shape (...).
        """

    @abstractmethod
    def describe(self) -> str:
        """Return the hypothesis in words or as an inequality."""


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

    def __post_init__(self) -> None:
        normal = real_numbers("normal", self.normal)
        if normal.ndim != 1 or not np.isfinite(normal).all() or not normal.any():
            raise InvalidInputError(
                f"A half-space needs finite coefficients that are not all zero; got normal={self.normal}."
            )
        if not np.isfinite(self.offset):
            raise InvalidInputError(f"A half-space needs a finite offset; got offset={self.offset}.")
        largest, offset = float(np.abs(normal).max()), float(self.offset)
        if not _MODERATE[0] <= largest <= _MODERATE[1]:  # squares of the coefficients must not over- or underflow
            normal, offset = normal / largest, offset / largest
        if not np.isfinite(offset):
            raise InvalidInputError(
                f"The offset is too large for the coefficients; got normal={self.normal}, offset={self.offset}."
            )
        object.__setattr__(self, "normal", tuple(normal.tolist()))
        object.__setattr__(self, "offset", offset)

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
