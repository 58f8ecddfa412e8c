"""Null hypotheses inside or outside of balls and ellipsoids, such as non-equivalence of several parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers
from adagrid._typing import FloatArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import NullHypothesis

# Relative rounding errors of scaled distances, many times over.
_ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Ellipsoid(NullHypothesis):
    """The null hypothesis outside (or inside) an ellipsoid.

    The axes of the ellipsoid are parallel to the axes of the parameters. Its boundary belongs to the null hypothesis. A
    trial that shows equivalence rejects "outside": the parameters differ from `centre` by the margins or more.

    Args:
        centre: one number per parameter.
        radii: half the axes, one per parameter; all the same for a ball.
        null: where the hypothesis is true, "outside" or "inside".

    Raises:
        InvalidInputError: if a number is not finite, a radius is not positive, or `null` is neither of the two words.

    Examples:
        Equivalence of two means within margins of 0.2:

        >>> null = ada.Ellipsoid(centre=[0, 0], radii=[0.2, 0.2], null="outside")
        >>> null.describe()
        '((theta0 - 0)/0.2)^2 + ((theta1 - 0)/0.2)^2 >= 1'
        >>> grid = ada.cartesian_grid([-0.5, -0.5], [0.5, 0.5], n=4, null_hypos=[null])
    """

    centre: Sequence[float]
    radii: Sequence[float]
    null: Literal["outside", "inside"] = "outside"

    def __post_init__(self) -> None:
        centre, radii = real_numbers("centre", self.centre), real_numbers("radii", self.radii)
        sound = np.isfinite(centre).all() and np.isfinite(radii).all() and (radii > 0).all()
        if centre.ndim != 1 or centre.shape != radii.shape or not centre.size or not sound:
            raise InvalidInputError(
                "An ellipsoid needs a finite centre and positive radii, one of each per parameter; got "
                f"centre={self.centre}, radii={self.radii}."
            )
        if self.null not in ("outside", "inside"):
            raise InvalidInputError(f"null must be 'outside' or 'inside'; got {self.null!r}.")
        object.__setattr__(self, "centre", tuple(centre.tolist()))
        object.__setattr__(self, "radii", tuple(radii.tolist()))

    @override
    def in_dimension(self, dim: int) -> Ellipsoid:
        if len(self.centre) != dim:
            raise InvalidInputError(
                f"The null hypothesis {self.describe()} is about {len(self.centre)} parameters, but the grid has {dim}."
            )
        return self

    @override
    def dist(self, theta: FloatArray) -> FloatArray:
        """Return how far points are from the boundary in units of the radii, times the smallest radius."""
        scaled = self._size(theta - np.asarray(self.centre))
        return self._sign * min(self.radii) * (scaled - 1.0)

    @override
    def side(self, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Decide boxes by their nearest and farthest points, which follow coordinate by coordinate."""
        below, above = lower - np.asarray(self.centre), upper - np.asarray(self.centre)
        least = self._size(np.maximum(np.maximum(below, -above), 0.0))
        most = self._size(np.maximum(np.abs(below), np.abs(above)))
        entering = np.abs(self.centre) + np.maximum(np.abs(lower), np.abs(upper))
        rounding = _ROUNDING * (1.0 + self._size(entering))
        outside = np.where(least > 1 + rounding, 1, np.where(most < 1 - rounding, -1, 0))
        return outside * int(self._sign)

    @override
    def describe(self) -> str:
        relation = ">=" if self.null == "outside" else "<="
        terms = [
            f"((theta{i} {'+' if c < 0 else '-'} {abs(c):.10g})/{r:.10g})^2"
            for i, (c, r) in enumerate(zip(self.centre, self.radii, strict=True))
        ]
        return f"{' + '.join(terms)} {relation} 1"

    @property
    def _sign(self) -> float:
        return 1.0 if self.null == "outside" else -1.0

    def _size(self, displacement: FloatArray) -> FloatArray:
        """Return lengths of displacements from the centre, of shape (..., dim), in units of the radii."""
        return np.sqrt(np.sum((displacement / np.asarray(self.radii)) ** 2, axis=-1))
