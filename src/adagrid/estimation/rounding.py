"""Rounding of printed bounds."""

from __future__ import annotations

import math
from fractions import Fraction


def percent_up(bound: float) -> str:
    """Return a bound in percent, rounded up: a printed bound is still one."""
    return f"{math.ceil(Fraction(bound) * 10**6) / 10**4:.4f}%"
