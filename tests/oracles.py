"""Exact error rates by enumeration and closed forms, written without the package."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, hypergeom, norm


def fisher_table(n: int) -> np.ndarray:
    """One-sided p-values of Fisher's exact test, (control, treatment), by SciPy's hypergeometric tail."""
    y = np.arange(n + 1)
    return np.array([[hypergeom.sf(t - 1, 2 * n, n, c + t) for t in y] for c in y])


def pooled_z_table(n: int) -> np.ndarray:
    y = np.arange(n + 1)
    control, treatment = y[:, None] / n, y[None, :] / n
    pooled = (control + treatment) / 2
    se = np.sqrt(pooled * (1 - pooled) * 2 / n)
    return np.divide(treatment - control, se, out=np.zeros_like(se), where=se > 0)


def binomial_error(reject: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Rejection probability of a decision table (control, treatment) at logits of shape (..., 2)."""
    n_control, n_treatment = reject.shape[0] - 1, reject.shape[1] - 1
    p = 1 / (1 + np.exp(-np.asarray(logits, float)))
    control = binom.pmf(np.arange(n_control + 1), n_control, p[..., 0:1])
    treatment = binom.pmf(np.arange(n_treatment + 1), n_treatment, p[..., 1:2])
    return np.einsum("...i,ij,...j->...", control, reject.astype(float), treatment)


def binomial_size(reject: np.ndarray, low: float = -8.0, high: float = 8.0) -> float:
    """Largest error on the diagonal p_control = p_treatment, where it is largest for the tests used here."""
    t = np.linspace(low, high, 8001)
    return float(binomial_error(reject, np.stack([t, t], axis=-1)).max())


def z_error(theta: np.ndarray, threshold: float) -> np.ndarray:
    return norm.cdf(np.asarray(theta) - threshold)
