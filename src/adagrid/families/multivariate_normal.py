"""Multivariate normal observations with known covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
from scipy.linalg import solve_triangular
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid._typing import Array, FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families._fields import matrix, rows
from adagrid.families.family import Family, like, namespace

# The smallest eigenvalue of a correlation matrix for which sums are accurate enough.
_SINGULAR = 1e-8


@final
@dataclass(frozen=True)
class MultivariateNormal(Family):
    """Correlated normal means with known covariance.

    The parameters are the means mu. The natural parameters are a linear map of the means, n covariance^-1 mu, and
    A(mu) = n mu . covariance^-1 mu / 2.

    Args:
        covariance: covariance matrix of one observation, shape (dim, dim).
        n: number of observations.

    Raises:
        InvalidInputError: if the covariance is not a symmetric, positive definite matrix of finite numbers, or n is not
            a positive integer.

    Examples:
        Two correlated endpoints of 50 patients:

        >>> ada.MultivariateNormal([[1.0, 0.5], [0.5, 1.0]], n=50)
        MultivariateNormal(covariance=((1.0, 0.5), (0.5, 1.0)), n=50)
    """

    covariance: Sequence[Sequence[float]]
    n: int = 1

    def __post_init__(self) -> None:
        covariance = matrix("MultivariateNormal", "covariance", self.covariance)
        n = whole_numbers("n", self.n)
        if n.size != 1:
            raise InvalidInputError(f"MultivariateNormal has one number of observations for all means; got n={self.n}.")
        if covariance.shape[0] != covariance.shape[1] or not np.allclose(covariance, covariance.T, rtol=1e-12, atol=0):
            raise InvalidInputError(
                f"MultivariateNormal needs a symmetric covariance matrix; got covariance={self.covariance}."
            )
        covariance = (covariance + covariance.T) / 2  # removes rounding errors
        if not (np.diag(covariance) > 0).all() or _least_eigenvalue(covariance) < _SINGULAR:
            raise InvalidInputError(
                "MultivariateNormal needs a positive definite covariance matrix, with no mean that the others "
                f"determine; got covariance={self.covariance}. Leave such means out: LinearMap can add them up."
            )
        object.__setattr__(self, "covariance", rows(covariance))
        object.__setattr__(self, "n", int(n[0]))

    @property
    @override
    def dim(self) -> int:
        return len(self.covariance)

    @property
    @override
    def coordinates(self) -> str:
        return "means of multivariate normal observations"

    @property
    @override
    def scales(self) -> tuple[str, ...]:
        return ("mean",) * self.dim

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return namespace(theta).sum(self._in_standard_errors(theta) ** 2, axis=-1) / 2

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        shift = self._in_standard_errors(displacement)
        return namespace(shift).sum(shift * (self._in_standard_errors(theta) + shift / 2), axis=-1)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return infinity, because A'' is constant."""
        del displacements
        return np.full(len(theta), np.inf)

    @override
    def draw(self, key: Any) -> Array:
        """Return the observations' distances from their means."""
        from adagrid.families import _random  # loads JAX

        factor = np.linalg.cholesky(np.asarray(self.covariance))
        noise = _random.normal(key, (self.n, self.dim))
        return (noise[:, None, :] * like(noise, factor)[None]).sum(axis=2)  # a matrix product may round more

    @override
    def data(self, draw: Array, theta: FloatArray) -> Array:
        """Return the observations, one in each row, shape (n, dim)."""
        return draw.astype(theta.dtype) + theta[None]

    @override
    def sufficient(self, data: Array) -> Array:
        """Return the inverse of the covariance times the sum of the observations."""
        inverse = like(data, np.linalg.inv(np.asarray(self.covariance)))
        return (inverse * data.sum(axis=0)[None]).sum(axis=1)

    def _in_standard_errors(self, theta: FloatArray) -> FloatArray:
        """Return coordinates in which estimated means are independent with variance 1."""
        return theta @ _whitening(self.covariance, self.n)


def _least_eigenvalue(covariance: FloatArray) -> float:
    scale = np.sqrt(np.diag(covariance))
    return float(np.linalg.eigvalsh(covariance / scale / scale[:, None])[0])


@lru_cache(maxsize=32)
def _whitening(covariance: tuple[tuple[float, ...], ...], n: int) -> FloatArray:
    """Return W with W W^T = n covariance^-1."""
    factor = np.linalg.cholesky(np.asarray(covariance) / n)
    return solve_triangular(factor, np.eye(len(factor)), lower=True).T
