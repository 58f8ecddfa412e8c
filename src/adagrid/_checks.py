"""Turns what users pass into arrays, or says what is wrong with it."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Rational
from typing import Any

import numpy as np

from adagrid._typing import Array, FloatArray, IntArray
from adagrid.errors import InvalidInputError

# Above, some whole numbers are none of double precision.
_MOST_WHOLE = 2**53


def real_numbers(name: str, value: Any) -> FloatArray:
    """Return an array of real numbers, given as numbers of Python (Decimal and Fraction, too) or NumPy.

    Raises:
        InvalidInputError: if the value is not made of real numbers, or its rows differ in length.
    """
    array = _numbers(value)
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"{name} must be a number or an array of numbers; got {name}={value}.")
    return array.astype(float)


def whole_numbers(name: str, value: Any) -> IntArray:
    """Return an array of positive whole numbers with at most one dimension, as one dimension.

    Numbers of any type will do, such as 20.0, which is how R writes 20.

    Raises:
        InvalidInputError: if the value is anything else.
    """
    array = np.atleast_1d(_numbers(value))
    if array.dtype.kind == "f" and (np.abs(array) < _MOST_WHOLE).all() and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not array.size or (array < 1).any():
        raise InvalidInputError(f"{name} must be a positive whole number, or several; got {name}={value}.")
    return array.astype(np.int64)


def real_number(name: str, value: Any) -> float:
    """Return one real number.

    Raises:
        InvalidInputError: if the value is anything else.
    """
    array = real_numbers(name, value)
    if array.ndim:
        raise InvalidInputError(f"{name} must be one number; got {name}={value}.")
    return float(array)


def _numbers(value: Any) -> Array:
    """Return an array of numbers; of objects where it holds anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return np.empty(0, object)
    exact = array.dtype == object and all(isinstance(item, (Decimal, Rational)) for item in array.flat)
    if not exact or any(isinstance(item, bool) for item in array.flat):
        return array
    is_whole = all(isinstance(item, Integral) for item in array.flat)
    return array if is_whole else array.astype(float)
