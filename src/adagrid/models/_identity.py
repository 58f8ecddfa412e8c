"""What a job records about its design, so that it is not continued with another one."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

from adagrid._source import classes_up_to, source_of, steady_text
from adagrid.families import Family
from adagrid.models.base import Model


def model_name(model: Model) -> str:
    """Return the design's class as module:name."""
    return f"{type(model).__module__}:{type(model).__qualname__}"


def model_arguments(model: Model) -> dict[str, Any]:
    """Return the constructor's arguments in a form that JSON holds; other values by their text."""
    return {name: _plain(value) for name, value in getattr(model, "arguments", {}).items()}


def model_fingerprint(model: Model, text_of: Callable[[Any], str] = source_of) -> str:
    """Return a hash of the source of a design: its class, designs that it is made of, families, and what they use.

    Bases up to `Model`, and functions and constants of the same module that it refers to, are part of it. Where no
    source is at hand (an interactive session), compiled functions and class attributes are hashed instead.

    Args:
        model: the design.
        text_of: returns what is hashed of a class or function.
    """
    digest = hashlib.sha256()
    seen: set[int] = set()
    families = (cls for family in _families(model.family) for cls in classes_up_to(type(family), Family))
    designs = (cls for part in _designs(model) for cls in classes_up_to(type(part), Model))
    for cls in (*designs, *families):
        digest.update(text_of(cls).encode())
        for function in (value for value in vars(cls).values() if inspect.isfunction(value)):
            for text in _used(function, seen, text_of):
                digest.update(text.encode())
    digest.update(f"{model.reject_when} {model.precision}".encode())
    return digest.hexdigest()[:32]


def _designs(model: Model) -> Iterator[Model]:
    """Yield a design and those that it is made of."""
    yield model
    for value in vars(model).values():
        if isinstance(value, Model):
            yield from _designs(value)


def _families(family: Family) -> Iterator[Family]:
    """Yield a family and those that it is made of."""
    yield family
    for value in vars(family).values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Family):
                yield from _families(part)


def _used(function: FunctionType, seen: set[int], text_of: Callable[[Any], str]) -> Iterator[str]:
    """Yield what a function refers to in its own module, and what that refers to."""
    for name in sorted(set(function.__code__.co_names)):
        value = function.__globals__.get(name)
        if inspect.isfunction(value) and value.__module__ == function.__module__ and id(value) not in seen:
            seen.add(id(value))
            yield f"{name}: {text_of(value)}"
            yield from _used(value, seen, text_of)
        elif isinstance(value, (bool, int, float, str, tuple, frozenset, np.ndarray)):
            yield f"{name} = {steady_text(value)}"


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):  # too long to be written down: what tells it from others
        text = value.to_csv(index=False, lineterminator="\n")
        return {"rows": len(value), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if hasattr(value, "tolist"):  # arrays and their numbers
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
