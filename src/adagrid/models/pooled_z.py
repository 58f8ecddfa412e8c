"""The pooled z-test for two binomial arms."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, final

from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._two_binomials import TwoBinomials, z_table
from adagrid.models.base import RejectWhen


@final
class PooledZ(TwoBinomials):
    """One-sided z-test with pooled variance that treatment responds more often than control.

    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)) with the pooled proportion p; 0 when every or no patient
    responds. Large values reject.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    reject_when: ClassVar[RejectWhen] = "large"

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        def variance(p0: Fraction, p1: Fraction) -> Fraction:
            pooled = (p0 * n_control + p1 * n_treatment) / (n_control + n_treatment)
            return pooled * (1 - pooled) * (Fraction(1, n_control) + Fraction(1, n_treatment))

        return z_table(n_control, n_treatment, variance)
