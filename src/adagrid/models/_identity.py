"""What a job records about its design, so that it is not continued with another one."""

from __future__ import annotations

import hashlib
import inspect
import json
import textwrap
from typing import Any

import numpy as np

from adagrid.models.base import Model


def model_name(model: Model) -> str:
    """Return the design's class as module:name."""
    return f"{type(model).__module__}:{type(model).__qualname__}"


def model_arguments(model: Model) -> dict[str, Any]:
    """Return the constructor's arguments in a form that JSON holds; other values by their text."""
    return {name: _plain(value) for name, value in getattr(model, "arguments", {}).items()}


def model_fingerprint(model: Model) -> str:
    """Return a hash of the source of the design's class and of its bases up to `Model`, and of its family.

    Where no source is at hand (an interactive session), the compiled functions are hashed instead.
    """
    digest = hashlib.sha256()
    for cls in type(model).__mro__:
        if cls is Model:
            break
        digest.update(_source(cls).encode())
    digest.update(f"{model.family!r} {model.reject_when} {model.precision}".encode())
    return digest.hexdigest()[:32]


def _source(cls: type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        functions = sorted((name, value) for name, value in vars(cls).items() if inspect.isfunction(value))
        return repr([(name, _code(function.__code__)) for name, function in functions])


def _code(code: Any) -> tuple[Any, ...]:
    """Return what a function does, without addresses or line numbers."""
    constants = [_code(value) if inspect.iscode(value) else repr(value) for value in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, tuple(constants)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
    return value
