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
    """One-sided z-test with unpooled variance (Wald's) that treatment responds more often than control.

    z = (p1 - p0) / sqrt(p0 (1 - p0) / n0 + p1 (1 - p1) / n1). Where nobody or everybody responds in both arms the
    variance is 0, and z is 0 or, if the arms differ, infinite. Large values reject.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
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
