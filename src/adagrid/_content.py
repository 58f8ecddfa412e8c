"""Hash values by content, to see whether an argument or an attribute has changed."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, final

import numpy as np
import pandas as pd

# What pickle writes by content only.
_PLAIN = (int, float, str, bool, type(None), bytes, list, tuple, dict)
# Whether equal values of these types are one object is up to Python.
_SHARED = (str, bytes, tuple, frozenset, np.generic, type, types.FunctionType)


class UnknownContentError(TypeError):
    """The content of a value cannot be read."""


def content_hash(value: Any) -> str:
    """Return a hash of a value's content, the same in every process and after pickling.

    The hash covers what pickle would store. Arrays count by type, shape and numbers, tables by their columns, sets in
    any order, objects without their cached properties. Functions and classes count by name (their code belongs to the
    source), lambdas by their code.

    Raises:
        UnknownContentError: if pickle cannot store a part of the value.
    """
    buffer = io.BytesIO()
    try:
        _Writer(buffer, protocol=4).dump(value)
    except Exception as error:  # code of users, and Python's own refusals
        raise UnknownContentError(f"{type(value).__module__}:{type(value).__qualname__} ({error})") from error
    return hashlib.sha256(buffer.getvalue()).hexdigest()[:32]


def hash_of_parts(parts: Iterable[Any]) -> str:
    """Return a hash of values by content; those that pickle cannot store are left out."""
    hashes = []
    for part in parts:
        try:
            hashes.append(content_hash(part))
        except UnknownContentError:
            hashes.append("unknown")
    return content_hash(hashes)


def bare_code(code: types.CodeType) -> tuple[Any, ...]:
    """Return what compiled code does, without names of files and lines."""
    constants = map(_constant, code.co_consts)
    kinds = (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_exceptiontable)
    return (code.co_name, code.co_code, *kinds, code.co_names, code.co_varnames, code.co_freevars, *constants)


def held_by(function: types.FunctionType) -> list[Any]:
    """Return the values that a function holds: its defaults, its attributes, and those of names around it."""
    around = inspect.getclosurevars(function).nonlocals.items()
    inside = [each for each in around if each[1] is not function]
    return [function.__defaults__, function.__kwdefaults__, *sorted(vars(function).items()), *inside]


def _constant(value: Any) -> Any:
    """Return a constant of compiled code such that others are unequal: 1 and 1.0 are."""
    if isinstance(value, types.CodeType):
        return bare_code(value)
    if isinstance(value, frozenset):
        return ("set", *sorted(map(repr, value)))
    return hex(value) if type(value) is int else f"{type(value).__name__} {value!r}"


@final
class _Writer(pickle._Pickler):
    """Pickles values such that equal content gives equal bytes. The bytes are only hashed, never read."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return NotImplemented
        if isinstance(value, (set, frozenset)):
            return _as(type(value), sorted(map(content_hash, value)))
        if isinstance(value, type):
            return _as("class", value.__module__, value.__name__)  # local ones lose the rest when they travel
        if isinstance(value, types.FunctionType):
            name = bare_code(value.__code__) if value.__name__ == "<lambda>" else (value.__module__, value.__name__)
            return _as("function", name, hash_of_parts(held_by(value)))
        if getattr(value, "__wrapped__", None) is not None:  # by jax.jit, functools.cache
            return _as("wrapped", type(value), value.__wrapped__)
        if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
            return _as(type(value), *_columns(value))
        if (kept := _global_name(value)) is not None:
            return _as("global", kept)
        array = _array(value)
        if array is not None:
            numbers = array.tolist() if array.dtype.hasobject else array.tobytes()
            weak = getattr(value, "weak_type", False)  # JAX's, which decides the type of results
            mask = np.ma.getmaskarray(array).tobytes() if isinstance(array, np.ma.MaskedArray) else None
            return _as("array", type(value).__name__, array.dtype.descr, array.shape, weak, numbers, mask)
        return _without_cached(value) if hasattr(value, "__dict__") else NotImplemented

    def memoize(self, obj: Any) -> None:
        if not isinstance(obj, _SHARED):
            super().memoize(obj)  # type: ignore[misc]


def _as(*parts: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return parts in place of a value: in the form that pickle wants, with a function that it writes by name."""
    return hash, parts


def _columns(table: Any) -> list[Any]:
    """Return names, types and values, whatever blocks hold them."""
    frame = table if isinstance(table, pd.DataFrame) else table.to_frame()
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    return [list(frame.columns), frame.index.to_numpy(), *((str(each.dtype), each.to_numpy()) for each in columns)]


def _global_name(value: Any) -> str | None:
    """Return the name of an object that NumPy or SciPy keeps, such as the generator that np.random has."""
    module = type(value).__module__
    if module.partition(".")[0] not in ("numpy", "scipy") or isinstance(value, (np.ndarray, np.generic)):
        return None
    return next((name for name, each in vars(sys.modules[module]).items() if each is value), None)


def _array(value: Any) -> np.ndarray | None:
    """Return arrays and numbers of NumPy and JAX as arrays of NumPy, None for everything else."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asanyarray(value)
    if not type(value).__module__.startswith("jax") or not hasattr(type(value), "__array__"):
        return None
    is_key = str(value.dtype).startswith("key<")
    return np.asarray(sys.modules["jax"].random.key_data(value) if is_key else value)


def _without_cached(value: Any) -> Any:
    """Return how pickle would store an object, without what it has computed from the rest."""
    cached = [
        name
        for name in vars(value)
        if isinstance(inspect.getattr_static(type(value), name, None), functools.cached_property)
    ]
    if not cached:
        return NotImplemented
    make, arguments, state, *more = value.__reduce_ex__(4)
    if isinstance(state, dict):
        state = {name: each for name, each in state.items() if name not in cached} or None  # as if never computed
    return (make, arguments, state, *more)
