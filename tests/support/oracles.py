"""Exact error rates by enumeration and closed forms, written without the package."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, chi2, hypergeom, multivariate_normal, norm


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


def two_looks_t_error(first: float, second: float, n: tuple[int, int]) -> float:
    """Error of a t-test at n[0] and n[1] observations with mean zero, by quadrature.

    Given the first mean z / sqrt(n0), its sum of squares and the second stage's mean, the second look rejects if the
    second stage's sum of squares, a chi-squared variable, is small enough.
    """
    start, end = n
    more = end - start
    nodes, weights = np.polynomial.legendre.leggauss(120)
    # the first sum of squares, by its distribution function
    squares, mass = chi2.ppf((nodes + 1) / 2, start - 1), weights / 2
    high = first * np.sqrt(squares / (start - 1))  # the first look goes on while z is at most this
    low = -9.0
    top = np.minimum(high, 9.0)[:, None]
    z = (top + low) / 2 + (top - low) / 2 * nodes
    z_mass = mass[:, None] * weights * (top - low) / 2 * norm.pdf(z)
    later = 9 * nodes
    later_mass = 9 * weights * norm.pdf(later)
    total = np.sqrt(start) * z[:, :, None] + np.sqrt(more) * later
    between = start * more / end * (later / np.sqrt(more) - z[:, :, None] / np.sqrt(start)) ** 2
    largest = (end - 1) * total**2 / end / second**2
    reject = np.where(total > 0, chi2.cdf(largest - squares[:, None, None] - between, more - 1), 0)
    return float(mass @ norm.sf(high) + np.einsum("ij,ijk,k->", z_mass, reject, later_mass))


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


def survival_data(
    n: tuple[int, int], theta: tuple[float, float], accrual: float, follow_up: float, sims: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return survival times and times to the analysis, shape (sims, n0 + n1)."""
    generator = np.random.default_rng(seed)
    hazards = np.repeat(theta, n)
    survival = generator.exponential(1 / hazards, (sims, len(hazards)))
    return survival, follow_up + accrual * generator.uniform(size=survival.shape)


def log_rank_z(survival: np.ndarray, observed: np.ndarray, n: tuple[int, int]) -> np.ndarray:
    """Log-rank statistics of many trials, by comparing every patient's time with every other's."""
    time, death, treated = np.minimum(survival, observed), survival <= observed, np.repeat([0.0, 1.0], n)
    at_risk = time[:, None, :] >= time[:, :, None]
    share = (at_risk @ treated) / at_risk.sum(axis=2)
    variance = (death * share * (1 - share)).sum(axis=1)
    excess = (death * (share - treated)).sum(axis=1)
    return np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0)
