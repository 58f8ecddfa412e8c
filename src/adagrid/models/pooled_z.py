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
    """One-sided z-test with pooled variance that treatment responds more often than control.

    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)) with the pooled proportion p; 0 when every or no patient
    responds. Large values reject.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
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
