"""Designs in NumPy whose errors are known: jobs with them compile nothing."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr, expit, ndtr, ndtri

import adagrid as ada
from adagrid.models.fisher_exact import fisher_p_values


class ArrayZ(ada.ArrayModel):
    """The z-test of one observation; `oracles.z_error` is its error."""

    family = ada.Normal()
    reject_when = "large"

    def simulate(self, begin, end, theta, null_truth):
        """Return z."""
        return ndtri(self.uniforms(begin, end, 1)).T + theta


class ArrayPValue(ArrayZ):
    """The z-test's p-value, for its mean."""

    value_range = (0.0, 1.0)

    def simulate(self, begin, end, theta, null_truth):
        """Return the p-value."""
        return ndtr(-super().simulate(begin, end, theta, null_truth))


class ArrayFisher(ada.ArrayModel):
    """Fisher's exact test with n patients per arm; `oracles.binomial_error` of `oracles.fisher_table` is its error."""

    def __init__(self, n: int) -> None:
        self.family = ada.Binomial((n, n))
        self._n, self._p_values = n, fisher_p_values(n, n)

    def simulate(self, begin, end, theta, null_truth):
        """Return the p-value, from responders by the inverse of their distribution function."""
        uniforms = self.uniforms(begin, end, 2)
        probabilities = bdtr(np.arange(self._n), self._n, expit(theta)[..., None])  # (points, arms, responders)
        arms = (np.stack([np.searchsorted(own, uniforms[:, arm]) for own in probabilities[:, arm]]) for arm in (0, 1))
        return self._p_values[tuple(arms)]
