"""Bootstrap resamples of simulation indices, kept only as far as calibration reads them."""

from __future__ import annotations

import numpy as np

from adagrid._typing import IntArray


def first_order_statistics(seed: int, n_sims: int, n_resamples: int, count: int) -> IntArray:
    """Return the smallest `count` indices of each of `n_resamples` resamples of range(n_sims), sorted.

    If x_(0) <= x_(1) <= ... are the sorted statistics, x_(index[b, r]) is the (r+1)-th smallest statistic of
    resample b. The k-th smallest of N standard exponentials is the sum over i <= k of E_i / (N - i + 1) with
    independent standard exponentials E_i (Rényi 1953, Acta Math. Hung. 4:191; Devroye 1986, Non-Uniform Random
    Variate Generation, V.3), and 1 - exp(-.) makes them uniforms: the resamples of size N are never formed.

    Args:
        seed: bootstrap seed; together with n_sims it determines the resamples.
        n_sims: N, size of each resample.
        n_resamples: number of resamples.
        count: how many of the smallest indices to return, at most n_sims.

    Returns:
        Indices in [0, n_sims), shape (n_resamples, count). Resample b does not depend on n_resamples or count.
    """
    indices = np.empty((n_resamples, count), np.int64)
    for resample in range(n_resamples):
        generator = np.random.Generator(np.random.PCG64([seed, n_sims, resample]))
        spacing = generator.standard_exponential(count)
        remaining = np.arange(n_sims, n_sims - count, -1, dtype=float)
        uniforms = -np.expm1(-np.cumsum(spacing / remaining))
        indices[resample] = np.minimum((uniforms * n_sims).astype(np.int64), n_sims - 1)
    return indices
