"""Outward rounding, so that a printed bound is still a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

_DIGITS = 6


def percent_up(bound: float) -> str:
    """Return an upper bound in percent, rounded up."""
    return _percent(bound, math.ceil)


def percent_down(bound: float) -> str:
    """Return a lower bound in percent, rounded down."""
    return _percent(bound, math.floor)


def number_up(bound: float) -> str:
    """Return an upper bound with six digits, rounded up."""
    return _rounded(bound, ROUND_CEILING)


def number_down(bound: float) -> str:
    """Return a lower bound with six digits, rounded down."""
    return _rounded(bound, ROUND_FLOOR)


def _percent(bound: float, whole: Callable[[Fraction], int]) -> str:
    if not math.isfinite(bound):  # of a damaged job, which is shown before it is refused
        return f"{bound}%"
    return f"{whole(Fraction(bound) * 10**6) / 10**4:.4f}%"


def _rounded(value: float, how: str) -> str:
    return f"{Context(prec=_DIGITS, rounding=how).create_decimal(Decimal(value)).normalize():f}"
