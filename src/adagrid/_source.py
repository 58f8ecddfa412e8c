"""The source of what users and this package define: what tells whether it has changed since it was written down."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any


def classes_up_to(cls: type, base: type) -> list[type]:
    """Return a class and its bases, up to the abstract base of the extension point."""
    order = cls.__mro__
    return list(order[: order.index(base)]) if base in order else [cls]


def source_of(thing: Any) -> str:
    """Return the source of a class or function, or what it was compiled to where no source is at hand."""
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        if inspect.isfunction(thing):
            return repr(_code(thing.__code__))
        members = sorted((name, value) for name, value in vars(thing).items() if not name.startswith(("__", "_abc_")))
        return repr([(name, _member(value)) for name, value in members])


def _member(value: Any) -> Any:
    """Return what a member of a class is, without addresses."""
    if isinstance(value, property):
        return [_member(each) for each in (value.fget, value.fset, value.fdel)]
    function = getattr(value, "__func__", value)  # of static methods and class methods
    return _code(function.__code__) if inspect.isfunction(function) else repr(value)


def _code(code: Any) -> tuple[Any, ...]:
    """Return what a function does, without addresses or line numbers."""
    constants = [_code(value) if inspect.iscode(value) else repr(value) for value in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, tuple(constants)
