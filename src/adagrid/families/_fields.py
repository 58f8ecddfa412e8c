"""Conversion of families' arguments into tuples with one number per arm."""

from __future__ import annotations

from typing import Any

import numpy as np

from adagrid._checks import real_numbers, whole_numbers
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError


def positive(family: str, name: str, value: Any) -> tuple[float, ...]:
    """Return finite real numbers above zero.

    Raises:
        InvalidInputError: if the value is neither such a number nor a sequence of such numbers.
    """
    array = np.atleast_1d(real_numbers(name, value))
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array > 0)).all():
        raise InvalidInputError(f"{family} needs a finite {name} above zero, or one for each arm; got {name}={value}.")
    return tuple(array.tolist())


def whole(name: str, value: Any) -> tuple[int, ...]:
    """Return positive whole numbers.

    Raises:
        InvalidInputError: if the value is neither such a number nor a sequence of such numbers.
    """
    return tuple(whole_numbers(name, value).tolist())


def arms(family: str, fields: dict[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Extend fields to equal length; a single number serves all arms.

    Raises:
        InvalidInputError: if lengths differ.
    """
    size = max(len(values) for values in fields.values())
    if any(len(values) not in (1, size) for values in fields.values()):
        given = ", ".join(f"{name}={values}" for name, values in fields.items())
        raise InvalidInputError(f"{family} needs one {' and one '.join(fields)} for all arms or for each; got {given}.")
    return [values * size if len(values) == 1 else values for values in fields.values()]


def matrix(family: str, name: str, value: Any) -> FloatArray:
    """Return a matrix of finite numbers.

    Raises:
        InvalidInputError: if the value is no such matrix.
    """
    array = real_numbers(name, value)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InvalidInputError(f"{family} needs a {name} of rows and columns of finite numbers; got {name}={value}.")
    return array


def rows(array: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Return a matrix as a tuple of rows, which is hashable and can be recorded."""
    return tuple(tuple(row) for row in array.tolist())
