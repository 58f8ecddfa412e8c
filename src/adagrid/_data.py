"""Objects as data: what jobs write down as JSON of families, hypotheses and arguments of designs, and how it is read.

Reading evaluates and imports nothing. The caller looks up the class, among those that it allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def to_data(value: Any, other: Callable[[Any], Any]) -> Any:
    """Return a value in the form that JSON gives it: sequences and arrays become lists.

    Args:
        value: a finite number, a text, a truth value or None, or a sequence or an array of these.
        other: returns the form of every other value, or raises.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if type(value) in (tuple, list):
        return [to_data(item, other) for item in value]
    is_plain = type(value) in (str, int, bool, type(None)) or (type(value) is float and math.isfinite(value))
    return value if is_plain else other(value)


def built(cls: type[T], fields: Mapping[str, Any], other: Callable[[Mapping[str, Any]], Any]) -> T:
    """Return an object of a class with the fields that `to_data` has made; lists become tuples.

    Args:
        cls: a class that the caller allows.
        fields: its arguments, by name.
        other: returns what a mapping in a field stands for.

    Raises:
        TypeError: if the class has other fields.
    """
    return cls(**{name: _from_data(value, other) for name, value in fields.items()})


def place_of(cls: type) -> str:
    """Return where a class is found, as module:name."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _from_data(value: Any, other: Callable[[Mapping[str, Any]], Any]) -> Any:
    if isinstance(value, Mapping):
        return other(value)
    return tuple(_from_data(item, other) for item in value) if isinstance(value, list) else value
