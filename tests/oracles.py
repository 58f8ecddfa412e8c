"""Exact error rates by enumeration and closed forms, written without the package."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, hypergeom, multivariate_normal, norm


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


def unpooled_z_table(n: int) -> np.ndarray:
    p = np.arange(n + 1) / n
    variance = p * (1 - p) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(
            (p[None, :] - p[:, None]) / np.sqrt(variance[:, None] + variance[None, :]), posinf=np.inf, neginf=-np.inf
        )


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


def group_sequential_error(
    bounds: np.ndarray,
    shares: np.ndarray,
    drift: float = 0.0,
    *,
    futility: np.ndarray | None = None,
    two_sided: bool = False,
) -> float:
    """Probability that some Z_k is beyond its bound before the trial is stopped for futility.

    The recursion of Armitage, McPherson and Rowe (1969) on the score S_k, which gains a normal increment with mean
    drift * (t_k - t_{k-1}) and variance t_k - t_{k-1}, by Gauss-Legendre quadrature over the continuation region.
    """
    shares = np.asarray(shares, float)
    bounds = np.broadcast_to(np.asarray(bounds, float), shares.shape)
    lower = -bounds if two_sided else np.full(len(shares), -np.inf)
    if futility is not None:
        lower[:-1] = futility
    nodes, weights = np.polynomial.legendre.leggauss(300)
    scores, mass, before, error = np.zeros(1), np.ones(1), 0.0, 0.0
    for share, low, high in zip(shares, lower * np.sqrt(shares), bounds * np.sqrt(shares), strict=True):
        mean, sd = scores + drift * (share - before), np.sqrt(share - before)
        error += mass @ norm.sf(high, mean, sd) + (mass @ norm.cdf(low, mean, sd) if two_sided else 0.0)
        reach = drift * share + np.array([-10, 10]) * np.sqrt(share)
        left, right = max(low, reach[0]), min(high, reach[1])
        if left >= right:
            break
        new = (left + right) / 2 + (right - left) / 2 * nodes
        mass = (mass[:, None] * norm.pdf(new, mean[:, None], sd)).sum(axis=0) * weights * (right - left) / 2
        scores, before = new, share
    return float(error)


def group_sequential_size(
    bounds: np.ndarray,
    shares: np.ndarray,
    drift: float = 0.0,
    *,
    futility: np.ndarray | None = None,
    two_sided: bool = False,
) -> float:
    """Expected share of the observations, from the probabilities that a trial goes on beyond each look.

    These are probabilities of boxes under the joint normal distribution of Z_1, ..., Z_k, whose covariances are
    sqrt(t_i / t_j) for i < j, by SciPy's integration: nothing is shared with the recursion above.
    """
    shares = np.asarray(shares, float)
    high = np.broadcast_to(np.asarray(bounds, float), shares.shape)
    low = -high if two_sided else np.full(len(shares), -np.inf)
    if futility is not None:
        low = np.append(futility, -np.inf)
    covariance = np.sqrt(np.minimum.outer(shares, shares) / np.maximum.outer(shares, shares))
    size = shares[0]
    for k in range(1, len(shares)):
        z = multivariate_normal(drift * np.sqrt(shares[:k]), covariance[:k, :k], abseps=1e-5, seed=0)
        size += (shares[k] - shares[k - 1]) * z.cdf(high[:k], lower_limit=low[:k])
    return float(size)


def dunnett_error(threshold: float, k: int) -> float:
    """Probability that one of k equal treatments beats a control of the same size: one integral over the control."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, mass = 10 * nodes, 10 * weights * norm.pdf(10 * nodes)
    return float(1 - mass @ norm.cdf(np.sqrt(2) * threshold + x) ** k)


def many_to_one_error(reject: np.ndarray, treatments: int, rate: float) -> float:
    """Probability that some treatment is declared better than the control when all respond alike."""
    n_control, n_treatment = reject.shape[0] - 1, reject.shape[1] - 1
    control = binom.pmf(np.arange(n_control + 1), n_control, rate)
    accepted = 1 - reject @ binom.pmf(np.arange(n_treatment + 1), n_treatment, rate)
    return float(1 - control @ accepted**treatments)
