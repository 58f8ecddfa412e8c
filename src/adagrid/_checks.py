"""Turns what users pass into arrays, or says what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from adagrid._typing import FloatArray, IntArray
from adagrid.errors import InvalidInputError


def real_numbers(name: str, value: Any) -> FloatArray:
    """Return an array of real numbers.

    Raises:
        InvalidInputError: if the value is not made of real numbers, or its rows differ in length.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"{name} must be a number or an array of numbers; got {name}={value}.")
    return array.astype(float)


def whole_numbers(name: str, value: Any) -> IntArray:
    """Return an array of positive whole numbers with at most one dimension, as one dimension.

    Raises:
        InvalidInputError: if the value is anything else.
    """
    try:
        array = np.atleast_1d(np.asarray(value))
    except ValueError:
        array = np.empty(0)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not array.size or (array < 1).any():
        raise InvalidInputError(f"{name} must be a positive whole number, or several; got {name}={value}.")
    return array.astype(np.int64)
