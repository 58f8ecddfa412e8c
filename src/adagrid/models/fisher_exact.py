"""Fisher's exact test for two binomial arms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray, IntArray
from adagrid.models._double_double import Pair, over, plus, product, single, times
from adagrid.models._two_binomials import TwoBinomials

# Sums that exceed it are scaled down by it: no product with a count overflows.
_LARGE = 500
# Bits of the first probability of each total, which is computed in whole numbers: more than a pair has.
_BITS = 120


@final
class FisherExact(TwoBinomials):
    """Fisher's exact one-sided test of two response rates.

    The statistic is the p-value: the hypergeometric probability of at least as many responders under treatment, given
    the total of both arms. Small values reject that treatment responds at most as often as control. With a calibrated
    threshold in place of alpha it is Boschloo's test (`Boschloo`).

    Args:
        n: patients per arm: a number for both, or (control, treatment).

    Examples:
        With 4 of 20 responders in the control arm and 11 of 20 in the treatment arm:

        >>> design = ada.FisherExact(n=20)
        >>> round(float(design.table(20, 20)[4, 11]), 4)
        0.0242
        >>> grid = ada.cartesian_grid([-1.5, -1.5], [0, 0], n=2, null_hypos=["theta1 <= theta0"])
        >>> run = ada.ada_calibrate(design, alpha=0.025, grid=grid)  # doctest: +SKIP
    """

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        return fisher_p_values(n_control, n_treatment)


def fisher_p_values(n_control: int, n_treatment: int) -> FloatArray:
    """Return one-sided p-values for every outcome, shape (n_control + 1, n_treatment + 1).

    They are computed for all totals of responders together, with twice the digits of floats, and rounded at the end. So
    equal p-values are equal floats.
    """
    p_value = np.empty((n_control + 1, n_treatment + 1))
    total = np.arange(n_control + n_treatment + 1)
    first, exponent = _first_probabilities(n_control, n_treatment)
    treated = np.minimum(total, n_treatment)
    term = at_least = single(np.ones(len(total)))  # in units of the first probability
    while len(total):
        p_value[total - treated, treated] = np.ldexp(times(at_least, first)[0], exponent)
        more = (treated > 0) & (total - treated < n_control)
        total, treated, exponent = total[more], treated[more], exponent[more]
        term, at_least, first = ((high[more], low[more]) for high, low in (term, at_least, first))
        term = over(times(term, _product(treated, n_control - total + treated)),
                    _product(n_treatment - treated + 1, total - treated + 1))  # fmt: skip
        at_least = plus(at_least, term)
        treated = treated - 1
        scale = np.where(at_least[0] > 2.0**_LARGE, _LARGE, 0)
        exponent = exponent + scale
        term, at_least = ((np.ldexp(high, -scale), np.ldexp(low, -scale)) for high, low in (term, at_least))
    return np.minimum(p_value, 1.0)


def _product(a: IntArray, b: IntArray) -> Pair:
    return product(a.astype(float), b.astype(float))


def _first_probabilities(n_control: int, n_treatment: int) -> tuple[Pair, IntArray]:
    """Return the probabilities of the most responders under treatment for each total, and exponents of 2 for them."""
    parts = [_scaled(ways, total) for ways, total in _first_ways(n_control, n_treatment)]
    high, low, exponent = (np.array(each) for each in zip(*parts, strict=True))
    return (high, low), exponent


def _first_ways(n_control: int, n_treatment: int) -> Iterator[tuple[int, int]]:
    """Yield, for each total of responders, in how many ways most are treated, and how many ways there are in all."""
    n = n_control + n_treatment
    ways, every = 1, 1
    for total in range(n + 1):
        yield ways, every
        every = every * (n - total) // (total + 1)
        if total < n_treatment:
            ways = ways * (n_treatment - total) // (total + 1)
        else:  # all treated respond, and one more in control does
            ways = ways * (n - total) // (total - n_treatment + 1)


def _scaled(ways: int, every: int) -> tuple[float, float, int]:
    """Return ways / every as a pair, and the exponent of 2 that it is to be multiplied by."""
    shift = _BITS - ways.bit_length() + every.bit_length()
    quotient = (ways << shift) // every
    high = float(quotient)
    return high, float(quotient - int(high)), -shift
