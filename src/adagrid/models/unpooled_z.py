"""The unpooled z-test for two binomial arms."""

from __future__ import annotations

from math import gcd
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._double_double import Pair, plus, product, single, times
from adagrid.models._two_binomials import TwoBinomials, z_table
from adagrid.models.model import RejectWhen


@final
class UnpooledZ(TwoBinomials):
    """One-sided z-test of two response rates with unpooled variance.

    This is Wald's test: large values of z = (p1 - p0) / sqrt(p0 (1 - p0) / n0 + p1 (1 - p1) / n1) reject that treatment
    responds at most as often as control. If both observed rates are 0 or 1, the variance is 0. Then z is 0 if the rates
    are equal, and infinite if they differ.

    Args:
        n: patients per arm: a number for both, or (control, treatment).

    Examples:
        With 4 of 20 responders in the control arm and 11 of 20 in the treatment arm:

        >>> design = ada.UnpooledZ(n=20)
        >>> round(float(design.table(20, 20)[4, 11]), 3)
        2.452
    """

    reject_when: ClassVar[RejectWhen] = "large"

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        common = gcd(n_control, n_treatment)
        a, b = float(n_control // common), float(n_treatment // common)

        def ratio(control: FloatArray, treatment: FloatArray, difference: FloatArray) -> tuple[Pair, Pair]:
            squared = product(difference, difference)
            return times(squared, single(np.full_like(control, common * a * b))), plus(
                times(product(control, n_control - control), single(np.full_like(control, b**3))),
                times(product(treatment, n_treatment - treatment), single(np.full_like(control, a**3))),
            )

        return z_table(n_control, n_treatment, ratio)
