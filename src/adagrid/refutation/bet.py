"""Bet against a declared family with the simulations at three collinear points.

Let A be the log-partition, m the midpoint of a and b, and rho = exp(A(m) - A(a) / 2 - A(b) / 2). For every function F
of the data with values in [0, 1], and every c > 0, the family implies (Hoelder's inequality, then that of the
arithmetic and geometric means)

    E_m F <= sqrt(E_a F E_b F) / rho <= (c E_a F + E_b F / c) / (2 rho).

So Z = (c F(S_a) + F(S_b) / c) / (2 rho) - F(S_m) has a mean of at least 0, and Z never exceeds
top = (c + 1 / c) / (2 rho). A bettor stakes a share lambda < 1 / top of the wealth against each Z, in the order of the
simulations. The final wealth is W = product of (1 - lambda Z). If the family is right, the mean of W is at most 1, so
P(W >= x) <= 1 / x (Ville, 1939). F, c and lambda depend on earlier simulations only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.families import Family

REFUTED, DOUBTED = float(np.log(1e6)), float(np.log(1e3))
"""Logarithms of the evidence that refutes a family, and of the evidence that requires more simulations."""

# Stakes as shares of 1 / top. The first stake, 0, limits the loss of a line to log(7).
_STAKES = np.array([0.0, 0.02, 0.05, 0.12, 0.25, 0.5, 0.9])
# Number of first simulations at a point, which only teach. Each later block is as long as all earlier ones together.
_LEARNED = 64
# Number of bins by quantiles, the share of simulations that gives a value its own bin, and the weight of pooled
# frequencies.
_BINS, _ATOM, _SHRINKAGE = 8, 0.02, 8.0
# Rounds that choose an event and its weight in turn, and the largest weight.
_ROUNDS, _HEAVIEST = 5, 20.0
# Relative amount that lowers rho: more than its rounding, so that equality never looks like a contradiction.
_ROUNDING = 1e-6


@final
@dataclass(frozen=True)
class Wager:
    """The result of bets on the simulations at three points.

    Args:
        log_wealth: logarithm of the final wealth; the initial wealth is 1.
        shares: frequencies of the last event at a, m and b, among simulations that did not choose the event. Shape
            (3,); zeros without a bet.
        allowed: the largest share at m that the family allows, given the shares at a and b.
    """

    log_wealth: float
    shares: FloatArray
    allowed: float


def log_affinity(family: Family, middle: FloatArray, half: FloatArray) -> FloatArray:
    """Return log(rho), at most 0, for the points middle - half, middle and middle + half.

    Args:
        family: the declared family.
        middle: shape (..., dim).
        half: shape (..., dim).

    Returns:
        Shape (...). A distance of h standard errors from the middle gives about -h^2 / 2.
    """
    return -(family.cumulant(middle, half) + family.cumulant(middle, -half)) / 2


def wager(statistics: Array, log_rho: float) -> Wager:
    """Bet on the simulations at the points a, m and b of a line.

    Args:
        statistics: statistics at a, m and b, in the order of the simulations, shape (3, sims).
        log_rho: the logarithm of rho.

    Returns:
        The wager. With at most 64 simulations there is no bet, and the wealth is 1.
    """
    values = np.asarray(statistics, float)
    rho = np.exp(log_rho) * (1 - _ROUNDING)
    log_wealth, shares = np.zeros(len(_STAKES)), np.zeros(3)
    begin, n = _LEARNED, values.shape[1]
    while begin < n:
        end = min(2 * begin, n)
        event = _learned(values[:, :begin], rho)
        if event is not None:
            occurs = event.occurs(values[:, begin:end])
            z = (event.weight * occurs[0] + occurs[2] / event.weight) / (2 * rho) - occurs[1]
            top = (event.weight + 1 / event.weight) / (2 * rho)
            log_wealth += np.log1p(-_STAKES[:, None] * z / top).sum(axis=1)
            shares = occurs.mean(axis=1)
        begin = end
    log_mean = float(np.logaddexp.reduce(log_wealth) - np.log(len(_STAKES)))
    return Wager(log_mean, shares, float(np.sqrt(shares[0] * shares[2]) / rho))


def combined(log_wealths: FloatArray) -> float:
    """Return the logarithm of the evidence of several lines.

    The evidence is the average of the mean wealth and the product of the wealths.

    Args:
        log_wealths: shape (lines,). The simulations of different lines must be independent, for the product.
    """
    if not len(log_wealths):
        return 0.0
    mean = np.logaddexp.reduce(log_wealths) - np.log(len(log_wealths))
    return float(np.logaddexp(mean, np.sum(log_wealths)) - np.log(2))


def in_words(log_value: float) -> str:
    """Return an e-value as text, given its logarithm."""
    power = log_value / np.log(10)
    return f"{10**power:.2g}" if power < 4 else f"10^{power:.0f}"


@final
@dataclass(frozen=True)
class _Event:
    """A set of bins that seems too likely at the midpoint.

    Args:
        bin_of: returns the bins of statistics.
        chosen: which bins belong to the event, shape (bins,).
        weight: c.
    """

    bin_of: Callable[[Array], IntArray]
    chosen: BoolArray
    weight: float

    def occurs(self, statistics: Array) -> FloatArray:
        """Return 1 where the event occurs, else 0."""
        return self.chosen[self.bin_of(statistics)].astype(float)


def _learned(values: FloatArray, rho: float) -> _Event | None:
    """Return the event to bet on next, given earlier statistics of shape (3, sims); None if none seems too likely."""
    bin_of, n_bins = _binning(values.ravel())
    counts = np.stack([np.bincount(bin_of(own), minlength=n_bins) for own in values])
    pooled = counts.sum(axis=0) / values.size
    known = pooled > 0  # False for bins without simulations so far
    shares = (counts + _SHRINKAGE * np.where(known, pooled, 1.0)) / (values.shape[1] + _SHRINKAGE)
    chosen, weight = _best_event(shares, rho)
    chosen &= known
    return _Event(bin_of, chosen, weight) if chosen.any() else None


def _best_event(shares: FloatArray, rho: float) -> tuple[BoolArray, float]:
    """Return the bins that are too likely at the midpoint, and the weight c, from shares of bins at a, m and b."""
    a, m, b = shares
    chosen, weight = np.arange(len(m)) == np.argmax(m**2 / (a * b)), 1.0
    for _ in range(_ROUNDS):
        weight = float(np.sqrt(b[chosen].sum() / a[chosen].sum())) if chosen.any() else 1.0
        weight = min(max(weight, 1 / _HEAVIEST), _HEAVIEST)
        chosen = m > (weight * a + b / weight) / (2 * rho)
    return chosen, weight


def _binning(values: FloatArray) -> tuple[Callable[[Array], IntArray], int]:
    """Return a function from statistics to bins, and the number of bins.

    Bins lie between quantiles. Frequent values have their own bins.
    """
    ordered = np.sort(values)
    edges = np.unique(ordered[np.arange(1, _BINS) * (len(ordered) - 1) // _BINS])

    def interval(own: Array) -> IntArray:  # even numbers lie between edges, odd ones are edges
        return np.searchsorted(edges, own, "left") + np.searchsorted(edges, own, "right")

    frequent = np.bincount(interval(values), minlength=2 * len(edges) + 1) >= _ATOM * len(values)
    frequent[::2] = True  # a rare edge joins the interval below it
    label = np.cumsum(frequent) - 1
    return (lambda own: label[interval(own)]), int(label[-1]) + 1
