"""What NumPy does about overflow and the like: as usual within our calls, as the caller wants it outside."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

_USUAL: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_outside: ContextVar[dict[str, Any]] = ContextVar("numpy_errors", default=_USUAL)


def usual_numpy_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function run with NumPy's usual error state: a harmless underflow inside is none of the caller's."""

    @wraps(function)
    def undisturbed(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _outside.set(dict(np.geterr()))
        try:
            with np.errstate(**_USUAL):
                return function(*args, **kwargs)
        finally:
            _outside.reset(token)

    return undisturbed


def set_otherwise() -> dict[str, Any]:
    """Return the caller's error state where it is not the usual one, for the record."""
    return {name: value for name, value in _outside.get().items() if value != _USUAL[name]}
