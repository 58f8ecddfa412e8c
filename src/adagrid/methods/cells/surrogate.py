"""What a pilot suggests about the error rate everywhere: a Gaussian process on the probit scale."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import final

import numpy as np
import scipy
from scipy.special import ndtr, ndtri
from threadpoolctl import ThreadpoolController

from adagrid._deadline import check_time
from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.grid.points import Points
from adagrid.methods.cells.algorithm import configurations
from adagrid.methods.cells.fisher import FisherCoordinates

_LENGTHS = (1.0, 1.5, 2.0, 3.0, 4.5, 7.0)
_SCALES = (0.03, 0.1, 0.3, 1.0)
_TREND = 4.0
_MOST_FOR_FIT, _SLICE = 256, 20_000
# Expected rates stay between these: plans take their logarithms.
LEAST, MOST = 1e-7, 0.999


@final
class Surrogate:
    """Error rates as a smooth function: a linear trend plus a Gaussian process (Rasmussen and Williams 2006, ch. 2).

    Args:
        points: coordinates, shape (points, dim).
        rejections: rejections at the points, shape (points,).
        n_sims: simulations at the points, shape (points,).
    """

    def __init__(self, points: FloatArray, rejections: FloatArray | IntArray, n_sims: IntArray) -> None:
        check_time()
        with _one_thread():
            self._condition(points, rejections, n_sims)

    def _condition(self, points: FloatArray, rejections: FloatArray | IntArray, n_sims: IntArray) -> None:
        """Choose length and scale, and condition the process on what was simulated."""
        self._centre = points.mean(axis=0)
        self._points = points - self._centre
        rate = (rejections + 0.5) / (n_sims + 1.0)
        probit = ndtri(rate)
        smooth = rate
        for fit in (True, False):  # the noise at a point depends on the rate there, which the first fit smooths
            clipped = np.clip(smooth, 0.25 / n_sims, 1 - 0.25 / n_sims)
            noise = clipped * (1 - clipped) / n_sims / _density(ndtri(clipped)) ** 2 + 1e-8
            if fit:
                self._length, self._scale = self._fit(probit, noise)
            kernel = self._kernel(self._points, self._points)
            factor = scipy.linalg.cho_factor(kernel + np.diag(noise), lower=True)
            self._weights = scipy.linalg.cho_solve(factor, probit)
            smooth = ndtr(kernel @ self._weights)
        self._factor, self._n_sims = factor, n_sims
        explained = scipy.linalg.solve_triangular(factor[0], kernel, lower=True)
        self._deviation = np.sqrt(np.maximum(np.diag(kernel) - (explained**2).sum(axis=0), 1e-12))

    def rate(self, points: FloatArray) -> FloatArray:
        """Return expected error rates at coordinates of shape (points, dim)."""
        return self._expected(points, self._weights)

    def other_rates(self, points: FloatArray, rejections: FloatArray) -> FloatArray:
        """Return expected error rates for other counts at the simulated points, with the same smoothness and noise.

        Args:
            points: coordinates, shape (points, dim).
            rejections: counts, shape (simulated points, thresholds).

        Returns:
            Shape (points, thresholds).
        """
        probit = ndtri((rejections + 0.5) / (self._n_sims[:, None] + 1.0))
        return self._expected(points, scipy.linalg.cho_solve(self._factor, probit))

    def probit_error(self, points: FloatArray) -> FloatArray:
        """Return about how wrong probits of rates at coordinates may be: as at the nearest simulated point."""
        nearest = np.empty(len(points), np.int64)
        with _one_thread():
            for part in _slices(len(points)):
                nearest[part] = _squared_distances(points[part] - self._centre, self._points).argmin(axis=1)
        return self._deviation[nearest]

    def _expected(self, points: FloatArray, weights: FloatArray) -> FloatArray:
        """Return expected rates for the weights of one or several thresholds."""
        mean = np.empty((len(points), *weights.shape[1:]))
        with _one_thread():
            for part in _slices(len(points)):
                mean[part] = self._kernel(points[part] - self._centre, self._points) @ weights
        return np.clip(ndtr(mean), LEAST, MOST)

    def _kernel(self, left: FloatArray, right: FloatArray) -> FloatArray:
        distance = _squared_distances(left, right)
        return self._scale**2 * np.exp(-distance / (2 * self._length**2)) + _TREND * (1 + left @ right.T)

    def _fit(self, probit: FloatArray, noise: FloatArray) -> tuple[float, float]:
        """Return the length and scale with the largest likelihood, with a weak prior, on at most some points."""
        some = np.linspace(0, len(probit) - 1, min(len(probit), _MOST_FOR_FIT)).astype(int)
        best = (-np.inf, _LENGTHS[0], _SCALES[0])
        for self._length in _LENGTHS:
            for self._scale in _SCALES:
                try:
                    factor = scipy.linalg.cholesky(
                        self._kernel(self._points[some], self._points[some]) + np.diag(noise[some]), lower=True
                    )
                except scipy.linalg.LinAlgError:
                    continue
                residual = scipy.linalg.solve_triangular(factor, probit[some], lower=True)
                likelihood = -0.5 * residual @ residual - np.log(np.diag(factor)).sum()
                prior = -0.5 * np.log(self._length / 3) ** 2 - 0.5 * np.log(self._scale / 0.2) ** 2
                best = max(best, (float(likelihood + prior), self._length, self._scale))
        return best[1], best[2]


@final
class Surrogates:
    """One surrogate per null configuration: what counts as an error differs between them.

    Args:
        fisher: coordinates in which the rates are about equally smooth everywhere.
        points: the simulated points.
        rejections: rejections at the points, shape (points,).
    """

    def __init__(self, fisher: FisherCoordinates, points: Points, rejections: FloatArray | IntArray) -> None:
        self._fisher = fisher
        self._by_configuration = {
            configuration.tobytes(): (Surrogate(fisher(points.theta[own]), rejections[own], points.n_sims[own]), own)
            for configuration, own in configurations(points.null_truth)
        }

    def rates(self, theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        """Return expected error rates at parameters (points, dim) under configurations (points, hypotheses)."""
        result = np.empty(len(theta))
        for surrogate, _, own in self._at(null_truth):
            result[own] = surrogate.rate(self._fisher(theta[own]))
        return result

    def errors(self, theta: FloatArray, null_truth: BoolArray, rate: FloatArray) -> FloatArray:
        """Return about how wrong the expected rates may be."""
        return _density(ndtri(rate)) * self.probit_errors(theta, null_truth)

    def probit_errors(self, theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        """Return about how wrong the probits of expected rates may be."""
        result = np.empty(len(theta))
        for surrogate, _, own in self._at(null_truth):
            result[own] = surrogate.probit_error(self._fisher(theta[own]))
        return result

    def other_rates(self, theta: FloatArray, null_truth: BoolArray, rejections: FloatArray) -> FloatArray:
        """Return expected rates for other counts at the simulated points, shape (points, thresholds).

        Args:
            theta: parameters, shape (points, dim).
            null_truth: their null configurations.
            rejections: counts, shape (simulated points, thresholds).
        """
        result = np.empty((len(theta), rejections.shape[1]))
        for surrogate, simulated, own in self._at(null_truth):
            result[own] = surrogate.other_rates(self._fisher(theta[own]), rejections[simulated])
        return result

    def _at(self, null_truth: BoolArray) -> Iterator[tuple[Surrogate, IntArray, IntArray]]:
        """Yield surrogates, the simulated points they know, and the rows whose configuration is theirs."""
        for configuration, own in configurations(null_truth):
            surrogate, simulated = self._by_configuration[configuration.tobytes()]
            yield surrogate, simulated, own


def _one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra in one thread: small matrices gain nothing from more, and wait for ever on busy machines."""
    return _libraries().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _slices(n: int) -> Iterator[slice]:
    """Yield slices of so many points that their distances from all simulated ones fit in memory."""
    for start in range(0, n, _SLICE):
        check_time()
        yield slice(start, start + _SLICE)


def _squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return squared distances between points, shape (left, right)."""
    return np.maximum((left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * (left @ right.T), 0.0)


def _density(x: FloatArray) -> FloatArray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
