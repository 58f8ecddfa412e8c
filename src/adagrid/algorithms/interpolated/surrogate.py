"""What a pilot suggests about the error rate everywhere: a Gaussian process on the probit scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.spatial import cKDTree
from scipy.special import ndtr, ndtri

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.algorithms.interpolated.fisher import FisherCoordinates

_LENGTHS = (1.0, 1.5, 2.0, 3.0, 4.5, 7.0)
_SCALES = (0.03, 0.1, 0.3, 1.0)
_TREND = 4.0
_MOST_FOR_FIT, _SLICE = 500, 20_000
_LEAST, _MOST = 1e-7, 0.999


@final
class Surrogate:
    """Error rates as a smooth function: a linear trend plus a Gaussian process (Rasmussen and Williams 2006, ch. 2).

    Args:
        points: coordinates, shape (points, dim).
        rejections: rejections at the points, shape (points,).
        n_sims: simulations at the points, shape (points,).
    """

    def __init__(self, points: FloatArray, rejections: IntArray, n_sims: IntArray) -> None:
        self._centre = points.mean(axis=0)
        self._points = points - self._centre
        self._tree = cKDTree(self._points)
        rate = (rejections + 0.5) / (n_sims + 1.0)
        probit = ndtri(rate)
        smooth = rate
        for _ in range(2):  # the noise at a point depends on the rate there, which the first fit smooths
            clipped = np.clip(smooth, 0.25 / n_sims, 1 - 0.25 / n_sims)
            noise = clipped * (1 - clipped) / n_sims / _density(ndtri(clipped)) ** 2 + 1e-8
            self._length, self._scale = self._fit(probit, noise)
            kernel = self._kernel(self._points, self._points)
            factor = cho_factor(kernel + np.diag(noise), lower=True)
            self._weights = cho_solve(factor, probit)
            smooth = ndtr(kernel @ self._weights)
        explained = solve_triangular(factor[0], kernel, lower=True)
        self._deviation = np.sqrt(np.maximum(np.diag(kernel) - (explained**2).sum(axis=0), 1e-12))

    def rate(self, points: FloatArray) -> FloatArray:
        """Return expected error rates at coordinates of shape (points, dim)."""
        return np.clip(ndtr(self._mean(points - self._centre)), _LEAST, _MOST)

    def standard_error(self, points: FloatArray, rate: FloatArray) -> FloatArray:
        """Return about how wrong the rates at coordinates may be: the uncertainty at the nearest simulated point."""
        _, nearest = self._tree.query(points - self._centre)
        return _density(ndtri(rate)) * self._deviation[nearest]

    def _mean(self, points: FloatArray) -> FloatArray:
        mean = np.empty(len(points))
        for start in range(0, len(points), _SLICE):
            part = slice(start, start + _SLICE)
            mean[part] = self._kernel(points[part], self._points) @ self._weights
        return mean

    def _kernel(self, left: FloatArray, right: FloatArray) -> FloatArray:
        product = left @ right.T
        distance = np.maximum((left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * product, 0.0)
        return self._scale**2 * np.exp(-distance / (2 * self._length**2)) + _TREND * (1 + product)

    def _fit(self, probit: FloatArray, noise: FloatArray) -> tuple[float, float]:
        """Return the length and scale with the largest likelihood, with a weak prior, on at most some points."""
        some = np.linspace(0, len(probit) - 1, min(len(probit), _MOST_FOR_FIT)).astype(int)
        best = (-np.inf, _LENGTHS[0], _SCALES[0])
        for self._length in _LENGTHS:
            for self._scale in _SCALES:
                try:
                    factor = cholesky(
                        self._kernel(self._points[some], self._points[some]) + np.diag(noise[some]), lower=True
                    )
                except LinAlgError:
                    continue
                residual = solve_triangular(factor, probit[some], lower=True)
                likelihood = -0.5 * residual @ residual - np.log(np.diag(factor)).sum()
                prior = -0.5 * np.log(self._length / 3) ** 2 - 0.5 * np.log(self._scale / 0.2) ** 2
                best = max(best, (float(likelihood + prior), self._length, self._scale))
        return best[1], best[2]


@final
class Surrogates:
    """One surrogate per null configuration: what counts as an error differs between them.

    Args:
        fisher: coordinates in which the rates are about equally smooth everywhere.
        theta: parameters of the simulated points, shape (points, dim).
        null_truth: their null configurations, shape (points, hypotheses).
        rejections: rejections at the points, shape (points,).
        n_sims: simulations at the points, shape (points,).
    """

    def __init__(
        self,
        fisher: FisherCoordinates,
        theta: FloatArray,
        null_truth: BoolArray,
        rejections: IntArray,
        n_sims: IntArray,
    ) -> None:
        self._fisher = fisher
        self._by_configuration = {
            key: Surrogate(fisher(theta[own]), rejections[own], n_sims[own]) for key, own in _groups(null_truth)
        }

    def rates(self, theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        """Return expected error rates at parameters (points, dim) under configurations (points, hypotheses)."""
        result = np.empty(len(theta))
        for key, own in _groups(null_truth):
            result[own] = self._by_configuration[key].rate(self._fisher(theta[own]))
        return result

    def errors(self, theta: FloatArray, null_truth: BoolArray, rate: FloatArray) -> FloatArray:
        """Return about how wrong the expected rates may be."""
        result = np.empty(len(theta))
        for key, own in _groups(null_truth):
            result[own] = self._by_configuration[key].standard_error(self._fisher(theta[own]), rate[own])
        return result


def _groups(null_truth: BoolArray) -> Iterator[tuple[bytes, IntArray]]:
    """Yield every null configuration that occurs, and the positions where it does."""
    configurations, place = np.unique(null_truth, axis=0, return_inverse=True)
    for number, configuration in enumerate(configurations):
        yield configuration.tobytes(), np.flatnonzero(place.ravel() == number)


def _density(x: FloatArray) -> FloatArray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
