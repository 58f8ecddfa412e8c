"""Null hypotheses as data in a job's record.

Reading a definition evaluates no code, and imports only modules of this package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, cast

from adagrid import grid
from adagrid._data import built, place_of, to_data
from adagrid._source import same_source, source_of
from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import NullHypothesis

_RESERVED = ("type", "source")
_RULE = "A null hypothesis must be a frozen dataclass whose fields are finite numbers, strings, or sequences of these"


def definition(hypothesis: NullHypothesis) -> str:
    """Return the type and the fields of a hypothesis as JSON.

    For a class of this package the type is its name. For any other class the type is module:class, and the definition
    includes its source, with everything that the source refers to (null if the source cannot be found).

    Raises:
        InvalidInputError: if the fields do not determine the hypothesis, or are not data.
    """
    cls, own = type(hypothesis), values(hypothesis)
    if values(_built(cls, own)) != own:
        raise InvalidInputError(f"{_RULE}; {hypothesis!r} is not what its class makes of its fields.")
    source = {} if _is_ours(cls) else {"source": source_of([cls]).text}
    return json.dumps({"type": _name(cls), **own, **source})


def values(hypothesis: NullHypothesis) -> dict[str, Any]:
    """Return the fields of a hypothesis in the form that JSON returns."""
    parameters = getattr(hypothesis, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or "__dataclass_params__" not in vars(type(hypothesis)):
        raise InvalidInputError(f"{_RULE}; put @dataclass(frozen=True) before class {type(hypothesis).__name__}.")
    own = {field.name: getattr(hypothesis, field.name) for field in fields(cast(Any, hypothesis)) if field.init}
    if not own.keys().isdisjoint(_RESERVED):
        raise InvalidInputError(f"No field of {type(hypothesis).__name__} may have one of the names {_RESERVED}.")
    try:
        return {name: to_data(value, _through_json) for name, value in own.items()}
    except (TypeError, ValueError, AttributeError, RecursionError):
        raise InvalidInputError(f"{_RULE}; got {own}.") from None


def from_definition(text: str) -> NullHypothesis:
    """Return the hypothesis of a definition, whose class must exist in this process.

    Raises:
        InvalidInputError: if the class does not exist here (the caller decides whether to import it), or the class
            refuses the fields.
    """
    try:
        data = json.loads(text)
        name = str(data["type"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInputError("A null hypothesis in the database is none that a job has written down.") from None
    hasattr(grid, name)  # loads the class if it is one of ours
    found = [cls for cls in _known(NullHypothesis) if _name(cls) == name]  # type: ignore[type-abstract]
    if not found:
        raise InvalidInputError(
            f"It has a null hypothesis of the type {name!r}, a class that this process does not know, and nothing is "
            f"imported because a database says so. If you trust it, import {name.partition(':')[0]} before, or give "
            "the job's grid= again."
        )
    return _built(found[-1], {field: value for field, value in data.items() if field not in _RESERVED})


def sources(one: str, other: str) -> tuple[str | None, str | None] | None:
    """Return the sources of two definitions of different hypotheses; None if the hypotheses are the same."""
    first, second = json.loads(one), json.loads(other)
    own = first.pop("source", ""), second.pop("source", "")
    return None if first == second and same_source(*own) else own


def _built(cls: type[NullHypothesis], own: Mapping[str, Any]) -> NullHypothesis:
    try:
        return built(cls, own, _unchanged)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{_name(cls)} cannot be made from its fields {own}: {error}.") from error


def _is_ours(cls: type[NullHypothesis]) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def _name(cls: type[NullHypothesis]) -> str:
    return cls.__name__ if _is_ours(cls) else place_of(cls)


def _known(base: type[NullHypothesis]) -> Iterator[type[NullHypothesis]]:
    """Yield the subclasses that exist in this process; of equal names the latest definition comes last."""
    for cls in base.__subclasses__():
        yield cls
        yield from _known(cls)


def _through_json(value: Any) -> Any:
    """Return what JSON makes of a subclass of its types, such as an enumeration; refuse NaN, infinities and objects."""
    return json.loads(json.dumps(value, allow_nan=False, default=lambda each: each.tolist()))


def _unchanged(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return value
