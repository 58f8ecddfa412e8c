"""Posterior probabilities of a hierarchical model of response rates, for many outcomes at once.

The data are responders y_i of n in k arms. The prior is theta_i = logit p_i ~ N(mu, s), mu ~ N(m, t),
s ~ InverseGamma(shape, scale), with variances s and t. Given s, the prior of theta is normal, and Laplace's method
approximates the posterior by a normal distribution: Newton's method finds the mode, and the curvature at the mode gives
the variances and the likelihood of s. Quadrature integrates over log s. All matrices are diagonal plus a constant, so
sums over arms are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import expit, ndtr

from adagrid._typing import FloatArray, IntArray
from adagrid.errors import ModelError

# Number of Gauss-Legendre nodes for log s, and the least and the largest variance between arms.
_NODES, _LEAST, _MOST = 40, 1e-6, 1e3
# Where arms hardly differ, rounding moves modes by up to 1e-7.
_NEWTON_STEPS, _LARGEST_STEP, _CLOSE = 60, 2.0, 1e-6


@final
@dataclass(frozen=True)
class HierarchicalPrior:
    """The prior of the logits.

    Args:
        mean: mean m of mu.
        sd: standard deviation of mu, the root of t.
        shape: shape of the inverse gamma distribution of the variance s between arms.
        scale: scale of this distribution.
    """

    mean: float
    sd: float
    shape: float
    scale: float


def probabilities_above(responders: IntArray, n: int, null_logit: float, prior: HierarchicalPrior) -> FloatArray:
    """Return the posterior probabilities that logits are above a value, shape (outcomes, arms).

    Args:
        responders: shape (outcomes, arms).
        n: patients per arm.
        null_logit: the value.
        prior: the prior.
    """
    counts = responders.astype(float)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    middle, half = np.log(_MOST * _LEAST) / 2, np.log(_MOST / _LEAST) / 2
    theta = np.log((counts + 0.5) / (n - counts + 0.5))
    total, above, highest = np.zeros(len(counts)), np.zeros(counts.shape), np.full(len(counts), -np.inf)
    # from the largest variance down: each mode is near the previous mode, and the first is near the arms' estimates
    for node, weight in zip(nodes[::-1], weights[::-1], strict=True):
        variance = float(np.exp(middle + half * node))
        theta, log_mass, sd = _laplace(theta, counts, n, variance, prior)
        log_mass += np.log(weight) - prior.shape * np.log(variance) - prior.scale / variance
        reference = np.maximum(highest, log_mass)
        kept, mass = np.exp(highest - reference), np.exp(log_mass - reference)
        total = kept * total + mass
        above = kept[:, None] * above + mass[:, None] * ndtr((theta - null_logit) / sd)
        highest = reference
    return above / total[:, None]


def _laplace(
    theta: FloatArray, counts: FloatArray, n: int, variance: float, prior: HierarchicalPrior
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mode, the log marginal likelihood and standard deviations, given the variance between arms.

    The prior's precision matrix is (I - a J) / s, with J all ones and a = t / (s + k t). The posterior's precision
    matrix adds diag(w), where w is the curvature of the likelihood. The formulas avoid cancellation for small s.
    """
    k, between = counts.shape[1], prior.sd**2
    share = between / (variance + k * between)
    rest = variance / (variance + k * between)  # 1 - k a
    for _ in range(_NEWTON_STEPS):
        rate, away = expit(theta), theta - prior.mean
        scaled = 1 + n * rate * (1 - rate) * variance
        # everything times s
        slope = variance * (counts - n * rate) - (away - share * away.sum(axis=1, keepdims=True))
        remainder = rest + share * (1 - 1 / scaled).sum(axis=1, keepdims=True)
        step = (slope + share * (slope / scaled).sum(axis=1, keepdims=True) / remainder) / scaled
        theta = theta + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        if np.abs(step).max() < _CLOSE:
            break
    else:
        raise ModelError("Newton's method found no posterior mode of the basket trial. Use another prior.")
    rate, away = expit(theta), theta - prior.mean
    scaled = 1 + n * rate * (1 - rate) * variance
    remainder = rest + share * (1 - 1 / scaled).sum(axis=1)
    mean = away.mean(axis=1, keepdims=True)
    square = ((away - mean) ** 2).sum(axis=1) / variance + k * mean[:, 0] ** 2 / (variance + k * between)
    likelihood = (counts * theta - n * np.logaddexp(0.0, theta)).sum(axis=1)
    # the determinants of both precision matrices, but for the factor s^-k of each
    log_mass = likelihood - square / 2 + (np.log(rest) - np.log(scaled).sum(axis=1) - np.log(remainder)) / 2
    sd = np.sqrt(variance / scaled * (1 + share / (scaled * remainder[:, None])))
    return theta, log_mass, sd
