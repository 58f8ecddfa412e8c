"""Rounding of printed bounds."""

from __future__ import annotations

import math


def percent_up(bound: float) -> str:
    """Return a bound in percent, rounded up: a printed bound is still one."""
    return f"{math.ceil(round(bound * 1e6, 6)) / 1e4:.4f}%"
