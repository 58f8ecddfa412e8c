"""Golden-section search for many functions of one variable at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import BoolArray, FloatArray

_GOLDEN, _ITERATIONS = (np.sqrt(5.0) - 1) / 2, 34


def golden_section(
    function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray, iterations: int = _ITERATIONS
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Minimise functions of one variable by golden-section search.

    Equal values, such as two infinities where a tilt overflows, move the search towards `low`.

    Returns:
        For each element the least value found, its argument, and whether the search ran into `high`.
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    best, at_end = np.minimum(at_left, at_right), np.ones(len(high), bool)
    place = np.where(at_left <= at_right, left, right)
    for _ in range(iterations):
        down = at_left <= at_right
        at_end &= ~down
        low, high = np.where(down, low, left), np.where(down, right, high)
        fresh = np.where(down, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = function(fresh)
        left, right = np.where(down, fresh, right), np.where(down, left, fresh)
        at_left, at_right = np.where(down, value, at_right), np.where(down, at_left, value)
        place = np.where(value < best, fresh, place)
        best = np.minimum(best, value)
    return best, place, at_end
