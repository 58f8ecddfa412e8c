"""What a job records about its design, so that it is not continued with another one."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from adagrid._fingerprint import DEFAULT, UnknownStateError, fingerprint
from adagrid.errors import InvalidInputError
from adagrid.families import Family
from adagrid.models.base import Model


def model_name(model: Model) -> str:
    """Return the design's class as module:name."""
    return f"{type(model).__module__}:{type(model).__qualname__}"


def model_arguments(model: Model) -> dict[str, Any]:
    """Return the constructor's arguments in a form that JSON holds; other values by their type and a hash.

    Raises:
        InvalidInputError: if it cannot be told what an argument holds.
    """
    arguments = {}
    for name, value in getattr(model, "arguments", {}).items():
        try:
            arguments[name] = _plain(value)
        except UnknownStateError as error:
            raise InvalidInputError(
                f"What a design was made of is written down, so that its job is not continued with another one, but in "
                f"the argument {name} of {type(model).__name__} a {error}. Give numbers, arrays, or objects that can "
                "be pickled."
            ) from error
    return arguments


def model_fingerprint(model: Model, *, compiled: bool = False) -> str:
    """Return a hash of the code of a design, of designs and families that it is made of, and of all they refer to.

    Arguments are part of it where they hold code. Data among them are not: `model_arguments` has them.

    Args:
        model: the design.
        compiled: whether to hash what functions were compiled to, and not their source.
    """
    arguments = [(name, value) for name, value in _arguments(model) if not _is_data(value)]
    return fingerprint(
        type(model), *arguments, *_parts(model), model.reject_when, model.precision,
        compiled=compiled, state_of=_state,
    )  # fmt: skip


def state_fingerprint(model: Model) -> str | None:
    """Return a hash of a design's attributes, by content; None if the content of one cannot be told."""
    state = [(name, value) for name, value in sorted(vars(model).items()) if name not in ("arguments", "seed")]
    try:
        return fingerprint(*state, refuse=True, state_of=_state)
    except UnknownStateError:
        return None


def model_source(model: Model) -> str:
    """Return the source of a design's class, for people who read the record; "" if it is not at hand."""
    try:
        return textwrap.dedent(inspect.getsource(type(model)))
    except (OSError, TypeError):
        return ""


def _state(value: Any) -> Any:
    """Return what a design inside another is made of, and not what it has computed from that."""
    if not isinstance(value, Model):
        return DEFAULT
    return (*_arguments(value), *_parts(value), value.reject_when, value.precision)


def _arguments(model: Model) -> list[tuple[str, Any]]:
    return list(getattr(model, "arguments", {}).items())


def _parts(model: Model) -> Iterator[Any]:
    """Yield the families and designs that a design is made of."""
    yield model.family
    for name, value in sorted(vars(model).items()):
        if name != "arguments":
            yield from ((name, part) for part in _inside(value))


def _inside(value: Any) -> Iterator[Model | Family]:
    if isinstance(value, (Model, Family)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inside(item)
    elif isinstance(value, dict):
        yield from _inside(list(value.values()))


def _is_data(value: Any) -> bool:
    """Return whether the record of an argument has all of it."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_data, value))
    return type(value) in (str, int, float, bool, type(None), np.ndarray, pd.DataFrame)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):  # too long to be written down: what tells it from others
        text = value.to_csv(index=False, lineterminator="\n")
        return {"rows": len(value), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if hasattr(value, "tolist"):  # arrays and their numbers
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)
    if type(value) in (tuple, list):
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {str(key): _plain(item) for key, item in value.items()}
    if type(value) in (str, int, float, bool, type(None)):
        return value
    cls = type(value)
    return {
        "type": f"{cls.__module__}:{cls.__qualname__}",
        "sha256": fingerprint(value, refuse=True, state_of=_state),
    }
