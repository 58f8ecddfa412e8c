"""Coordinates in which the data are about equally informative everywhere."""

from __future__ import annotations

from typing import final

import numpy as np

from adagrid._typing import FloatArray
from adagrid.families import Family

_KNOTS = 513


@final
class FisherCoordinates:
    """Maps every parameter to the integral of the root of its Fisher information, one standard error to one unit.

    Exact for families whose parameters are independent of each other (variance stabilising); for others the
    information along each axis through the middle of the region is used, as far as the natural parameter space goes.
    Only plans depend on it.

    Args:
        family: distribution of the data.
        lower: lower corner of the region, shape (dim,).
        upper: upper corner.
        middle: parameters in the middle of the region, shape (dim,); by default of the two corners.
    """

    def __init__(self, family: Family, lower: FloatArray, upper: FloatArray, middle: FloatArray | None = None) -> None:
        self._knots = np.linspace(lower, upper, _KNOTS)
        middle = np.repeat(((lower + upper) / 2 if middle is None else middle)[None], _KNOTS, axis=0)
        self._values = np.empty_like(self._knots)
        for axis in range(family.dim):
            points = middle.copy()
            step = np.zeros(family.dim)
            step[axis] = 1e-4 * (upper[axis] - lower[axis])
            points[:, axis] = np.clip(self._knots[:, axis], lower[axis] + step[axis], upper[axis] - step[axis])
            inside = family.contains(points + step) & family.contains(points - step)
            some = points[inside]
            information = (family.cumulant(some, step) + family.cumulant(some, -step)) / step[axis] ** 2
            knots = self._knots[:, axis]
            rate = np.interp(knots, knots[inside], np.sqrt(np.maximum(information, 0.0)))
            width = np.diff(knots)
            self._values[:, axis] = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * width)])

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Return the coordinates of parameters of shape (..., dim)."""
        return np.stack(
            [np.interp(theta[..., i], self._knots[:, i], self._values[:, i]) for i in range(theta.shape[-1])], axis=-1
        )

    def inverse(self, coordinates: FloatArray) -> FloatArray:
        """Return the parameters of coordinates of shape (..., dim)."""
        return np.stack(
            [
                np.interp(coordinates[..., i], self._values[:, i], self._knots[:, i])
                for i in range(coordinates.shape[-1])
            ],
            axis=-1,
        )

    @property
    def lengths(self) -> FloatArray:
        """Lengths of the region's sides, shape (dim,)."""
        return self._values[-1]
