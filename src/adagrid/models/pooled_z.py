"""The pooled z-test for two binomial arms."""

from __future__ import annotations

from fractions import Fraction
from math import copysign, sqrt
from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from adagrid._typing import FloatArray
from adagrid.models._two_binomials import TwoBinomials


@final
class PooledZ(TwoBinomials):
    """One-sided z-test with pooled variance that treatment responds more often than control.

    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)) with the pooled proportion p; 0 when every or no patient
    responds. Large values reject.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
    """

    reject_when: ClassVar[Literal["small", "large"]] = "large"

    @override
    def table(self, n_control: int, n_treatment: int) -> FloatArray:
        z = np.zeros((n_control + 1, n_treatment + 1))
        total = n_control + n_treatment
        for control in range(n_control + 1):
            for treated in range(n_treatment + 1):
                difference = Fraction(treated, n_treatment) - Fraction(control, n_control)
                pooled = Fraction(control + treated, total)
                variance = pooled * (1 - pooled) * Fraction(total, n_control * n_treatment)
                if variance:
                    # exact until the root, so that statistics that are equal are equal as floats
                    z[control, treated] = copysign(sqrt(difference**2 / variance), difference)
        return z
