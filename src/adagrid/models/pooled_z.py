"""The pooled z-test for two binomial arms."""

from __future__ import annotations

from math import gcd
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._double_double import Pair, product, single, times
from adagrid.models._two_binomials import TwoBinomials, z_table
from adagrid.models.model import RejectWhen


@final
class PooledZ(TwoBinomials):
    """One-sided z-test of two response rates with pooled variance.

    Large values of z reject that treatment responds at most as often as control. With the pooled proportion p,
    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)). If every patient or no patient responds, z is 0.

    Args:
        n: patients per arm: a number for both, or (control, treatment).

    Examples:
        With 4 of 20 responders in the control arm and 11 of 20 in the treatment arm:

        >>> design = ada.PooledZ(n=20)
        >>> round(float(design.table(20, 20)[4, 11]), 3)
        2.286
    """

    reject_when: ClassVar[RejectWhen] = "large"

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        common = gcd(n_control, n_treatment)
        n, sizes = float(n_control + n_treatment), float(n_control // common) * float(n_treatment // common)

        def ratio(control: FloatArray, treatment: FloatArray, difference: FloatArray) -> tuple[Pair, Pair]:
            total = control + treatment
            squared = product(difference, difference)
            return times(squared, single(np.full_like(total, n))), times(
                product(total, n - total), single(np.full_like(total, sizes))
            )

        return z_table(n_control, n_treatment, ratio)
