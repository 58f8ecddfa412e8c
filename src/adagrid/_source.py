"""The source of what users and this package define: what tells whether it has changed since it was written down."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import numpy as np

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def classes_up_to(cls: type, base: type) -> list[type]:
    """Return a class and its bases, up to the abstract base of the extension point."""
    order = cls.__mro__
    return list(order[: order.index(base)]) if base in order else [cls]


def source_of(thing: Any) -> str:
    """Return the source of a class or function, or what it was compiled to where no source is at hand."""
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return compiled_of(thing)


def compiled_of(thing: Any) -> str:
    """Return what a class or function was compiled to, alike in every process of one version of Python.

    Unlike its source, which may have been edited since, this is what is run.
    """
    if inspect.isfunction(thing):
        return repr(_code(thing.__code__))
    members = sorted((name, value) for name, value in vars(thing).items() if not name.startswith(("__", "_abc_")))
    return repr([(name, _member(value)) for name, value in members])


def _member(value: Any) -> Any:
    """Return what a member of a class is."""
    if isinstance(value, property):
        return [_member(each) for each in (value.fget, value.fset, value.fdel)]
    for attribute in ("__func__", "__wrapped__", "func"):  # of static methods, of jax.jit, of cached properties
        value = getattr(value, attribute, value)
    return _code(value.__code__) if inspect.isfunction(value) else steady_text(value)


def _code(code: Any) -> tuple[Any, ...]:
    """Return what a function does, without line numbers."""
    constants = [_code(value) if inspect.iscode(value) else steady_text(value) for value in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, tuple(constants)


def steady_text(value: Any) -> str:
    """Return a value's text: without addresses, sets in an order that is always the same, arrays without gaps."""
    if isinstance(value, frozenset):
        value = sorted(map(steady_text, value))
    elif isinstance(value, np.ndarray):
        value = value.dtype.str, value.tolist()
    return _ADDRESS.sub("", repr(value))
