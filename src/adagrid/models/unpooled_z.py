"""The unpooled z-test for two binomial arms."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, final

from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._two_binomials import TwoBinomials, z_table
from adagrid.models.base import RejectWhen


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
        def variance(p0: Fraction, p1: Fraction) -> Fraction:
            return p0 * (1 - p0) / n_control + p1 * (1 - p1) / n_treatment

        return z_table(n_control, n_treatment, variance)
