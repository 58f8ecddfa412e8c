"""The unpooled z-test for two binomial arms."""

from __future__ import annotations

from fractions import Fraction
from math import copysign, inf, sqrt
from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._two_binomials import TwoBinomials


@final
class UnpooledZ(TwoBinomials):
    """One-sided z-test with unpooled variance (Wald's) that treatment responds more often than control.

    z = (p1 - p0) / sqrt(p0 (1 - p0) / n0 + p1 (1 - p1) / n1). Where nobody or everybody responds in both arms the
    variance is 0, and z is 0 or, if the arms differ, infinite. Large values reject.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    reject_when: ClassVar[Literal["small", "large"]] = "large"

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        z = np.zeros((n_control + 1, n_treatment + 1))
        for control in range(n_control + 1):
            for treated in range(n_treatment + 1):
                p0, p1 = Fraction(control, n_control), Fraction(treated, n_treatment)
                variance = p0 * (1 - p0) / n_control + p1 * (1 - p1) / n_treatment
                if p0 != p1:
                    # exact until the root, so that statistics that are equal are equal as floats
                    size = sqrt((p1 - p0) ** 2 / variance) if variance else inf
                    z[control, treated] = copysign(size, p1 - p0)
        return z
