"""Null hypotheses as data: what a job writes down of them. Reading it imports and evaluates nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import NullHypothesis

_RULE = "A null hypothesis must be a frozen dataclass whose fields are finite numbers, strings, or sequences of these"


def definition(hypothesis: NullHypothesis) -> str:
    """Return the type and the fields of a hypothesis as JSON.

    The type is the name of the class, and for one that does not come with this package its place, module:class.

    Raises:
        InvalidInputError: if the hypothesis is more than its fields, or they are not data.
    """
    text = json.dumps({"type": _name(type(hypothesis)), **values(hypothesis)})
    if values(_built(type(hypothesis), text)) != values(hypothesis):
        raise InvalidInputError(f"{_RULE}; {hypothesis!r} is not what its class makes of its fields.")
    return text


def values(hypothesis: NullHypothesis) -> dict[str, Any]:
    """Return the fields of a hypothesis in the form that JSON gives them."""
    parameters = getattr(hypothesis, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or "__dataclass_params__" not in vars(type(hypothesis)):
        raise InvalidInputError(f"{_RULE}; put @dataclass(frozen=True) before class {type(hypothesis).__name__}.")
    own = {field.name: getattr(hypothesis, field.name) for field in fields(cast(Any, hypothesis)) if field.init}
    if "type" in own:
        raise InvalidInputError(f"A field of {type(hypothesis).__name__} must have another name than 'type'.")
    try:
        return json.loads(json.dumps(own, allow_nan=False, default=lambda value: value.tolist()))
    except (TypeError, ValueError, AttributeError):
        raise InvalidInputError(f"{_RULE}; got {own}.") from None


def from_definition(text: str) -> NullHypothesis:
    """Return the hypothesis that `definition` wrote down, of a class that this process knows already.

    Raises:
        InvalidInputError: if it does not know the class. What imports it is the caller's to decide.
    """
    name = json.loads(text)["type"]
    found = [cls for cls in _known(NullHypothesis) if _name(cls) == name]  # type: ignore[type-abstract]
    if not found:
        raise InvalidInputError(
            f"It has a null hypothesis of the type {name!r}, a class that this process does not know, and nothing is "
            f"imported because a database says so. If you trust it, import {name.partition(':')[0]} before, or give "
            "the job's grid= again."
        )
    return _built(found[-1], text)


def _built(cls: type[NullHypothesis], text: str) -> NullHypothesis:
    return cls(**{name: _immutable(value) for name, value in json.loads(text).items() if name != "type"})


def _name(cls: type[NullHypothesis]) -> str:
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    return cls.__name__ if own else f"{cls.__module__}:{cls.__qualname__}"


def _known(base: type[NullHypothesis]) -> Iterator[type[NullHypothesis]]:
    """Yield the subclasses that exist in this process, those defined last at the end."""
    for cls in base.__subclasses__():
        yield cls
        yield from _known(cls)


def _immutable(value: Any) -> Any:
    return tuple(_immutable(item) for item in value) if isinstance(value, list) else value
