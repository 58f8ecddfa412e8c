"""Boschloo's exact test for two binomial arms."""

from __future__ import annotations

from typing import final

import numpy as np
from scipy.special import logit
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._binomial import binomial_masses
from adagrid.models._two_binomials import TwoBinomials
from adagrid.models.fisher_exact import fisher_p_values

# Common response rates that are tried per standard error of their arcsine transform.
_FINENESS = 64


@final
class Boschloo(TwoBinomials):
    """Boschloo's one-sided test of two response rates.

    The statistic is Boschloo's p-value (1970, Statistica Neerlandica 24:1). It is the probability that Fisher's exact
    test has a p-value at most as large as the one observed, maximised over all common response rates. Small values
    reject that treatment responds at most as often as control. The test rejects whenever Fisher's test does, and more.

    Args:
        n: patients per arm: a number for both, or (control, treatment).

    Examples:
        With 4 of 20 responders in the control arm and 11 of 20 in the treatment arm:

        >>> boschloo, fisher = ada.Boschloo(n=20), ada.FisherExact(n=20)
        >>> round(float(boschloo.table(20, 20)[4, 11]), 4), round(float(fisher.table(20, 20)[4, 11]), 4)
        (0.0127, 0.0242)
    """

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        fisher, place = np.unique(fisher_p_values(n_control, n_treatment), return_inverse=True)
        steps = int(np.ceil(np.pi / 2 * _FINENESS * np.sqrt(n_control + n_treatment)))
        rates = np.sin(np.pi / 2 * np.arange(1, steps) / steps) ** 2
        control, treatment = (binomial_masses(n, logit(rates)) for n in (n_control, n_treatment))
        largest, before, middle = np.zeros(len(fisher)), np.zeros(len(fisher)), np.zeros(len(fisher))
        for one, other in zip(control, treatment, strict=True):
            mass = np.bincount(place.ravel(), np.outer(one, other).ravel(), len(fisher))
            after = np.cumsum(mass, dtype=float)
            largest = np.maximum(largest, _peak(before, middle, after))
            before, middle = middle, after
        return np.minimum(largest, 1.0)[place].reshape(n_control + 1, n_treatment + 1)


def _peak(before: FloatArray, middle: FloatArray, after: FloatArray) -> FloatArray:
    """Return the largest values of curves at three equal steps, with that of a parabola where the middle is highest."""
    bend = 2 * middle - before - after
    inside = (middle >= before) & (middle >= after) & (bend > 0)
    rise = (after - before) ** 2 / np.where(inside, 8 * bend, 1.0)
    return np.maximum(after, np.where(inside, middle + rise, middle))
