"""Arrays of numbers with twice the digits of double precision, as unevaluated sums of two floats.

Source: Dekker (1971), A floating-point technique for extending the available precision, Numerische Mathematik
18:224-242. Products, quotients, and sums of numbers of one sign have relative errors of a few times 2**-104, unless a
part over- or underflows.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from adagrid._typing import FloatArray

Pair: TypeAlias = tuple[FloatArray, FloatArray]
"""A float and its correction, which is at most half a unit in the float's last place."""

_SPLITTER = 2.0**27 + 1


def plus(a: Pair, b: Pair) -> Pair:
    """Return a + b, of one sign."""
    high = a[0] + b[0]
    back = high - a[0]
    error = (a[0] - (high - back)) + (b[0] - back)
    return _normal(high, error + (a[1] + b[1]))


def times(a: Pair, b: Pair) -> Pair:
    """Return a b."""
    high, error = product(a[0], b[0])
    return _normal(high, error + (a[0] * b[1] + a[1] * b[0]))


def over(a: Pair, b: Pair) -> Pair:
    """Return a / b."""
    high = a[0] / b[0]
    back, error = product(high, b[0])
    return _normal(high, ((a[0] - back) - error + a[1] - high * b[1]) / b[0])


def product(a: FloatArray, b: FloatArray) -> Pair:
    """Return the exact product of two arrays in double precision."""
    high = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: FloatArray) -> Pair:
    """Return two numbers of half the digits each, whose sum is a."""
    far = _SPLITTER * a
    high = far - (far - a)
    return high, a - high


def _normal(high: FloatArray, low: FloatArray) -> Pair:
    total = high + low
    return total, low - (total - high)


def single(a: FloatArray) -> Pair:
    """Return floats as pairs with corrections of zero."""
    return a, np.zeros_like(a)
