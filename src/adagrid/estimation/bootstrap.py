"""Bootstrap resamples of simulation indices, as far as calibration reads them."""

from __future__ import annotations

import numpy as np

from adagrid._typing import IntArray


def first_order_statistics(seed: int, n_sims: int, n_resamples: int, count: int) -> IntArray:
    """Return the smallest indices of each bootstrap resample, sorted.

    A resample draws `n_sims` indices from range(n_sims), with replacement.

    If x_(0) <= x_(1) <= ... are the sorted statistics, x_(index[b, r]) is the (r+1)-th smallest statistic of
    resample b. The k-th smallest of N standard exponentials is the sum over i <= k of E_i / (N - i + 1) with
    independent standard exponentials E_i (Rényi 1953, Acta Math. Hung. 4:191; Devroye 1986, Non-Uniform Random
    Variate Generation, V.3). The map 1 - exp(-x) turns exponentials into uniforms. So no resample of size N is formed.

    Args:
        seed: bootstrap seed; seed and n_sims determine the resamples.
        n_sims: N, size of each resample.
        n_resamples: number of resamples.
        count: number of indices to return per resample, at most n_sims.

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
