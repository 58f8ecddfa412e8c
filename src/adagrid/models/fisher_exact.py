"""Fisher's exact test for two binomial arms."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._two_binomials import TwoBinomials


@final
class FisherExact(TwoBinomials):
    """One-sided Fisher's exact test that treatment responds more often than control.

    The statistic is the p-value, the hypergeometric probability of at least as many responders under treatment
    given their total; small values reject. Rejecting below a calibrated threshold instead of alpha is
    Boschloo's test (`Boschloo`).

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        return fisher_p_values(n_control, n_treatment)


def fisher_p_values(n_control: int, n_treatment: int) -> FloatArray:
    """Return one-sided p-values for every outcome, shape (n_control + 1, n_treatment + 1)."""
    p_value = np.empty((n_control + 1, n_treatment + 1))
    for total in range(n_control + n_treatment + 1):
        ways = comb(n_control + n_treatment, total)
        at_least = 0
        for treated in range(min(total, n_treatment), max(0, total - n_control) - 1, -1):
            at_least += comb(n_treatment, treated) * comb(n_control, total - treated)
            # exact until the last rounding, so that p-values that are equal are equal as floats
            p_value[total - treated, treated] = float(Fraction(at_least, ways))
    return p_value
