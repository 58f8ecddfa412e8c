"""Identify a design in a job's record, so that the job is not continued with a different one."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pandas as pd

from adagrid._content import UnknownContentError, content_hash, hash_of_parts
from adagrid._data import place_of, to_data
from adagrid.errors import InvalidInputError
from adagrid.models.model import Model

# Attributes that the record stores separately, or that do not belong to the design.
_APART = ("arguments", "seed")


def model_name(model: Model) -> str:
    """Return the design's class as module:name."""
    return place_of(type(model))


def model_arguments(model: Model) -> dict[str, Any]:
    """Return the constructor's arguments as values for JSON.

    Other values become their type and a hash.

    Raises:
        InvalidInputError: if the content of an argument cannot be hashed.
    """
    arguments = {}
    for name, value in getattr(model, "arguments", {}).items():
        try:
            arguments[name] = to_data(value, _other)
        except UnknownContentError as error:
            raise InvalidInputError(
                f"What a design was made of is written down, so that its job is not continued with another one, but in "
                f"the argument {name} of {type(model).__name__} a {error}. Give numbers, arrays, or objects that can "
                "be pickled."
            ) from error
    return arguments


def model_content(model: Model) -> str:
    """Return a hash of the contents of a design's attributes, without those that pickle cannot store."""
    return hash_of_parts(item for item in sorted(vars(model).items()) if item[0] not in _APART)


def _other(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):  # too long to be written down: what tells it from others
        text = value.to_csv(index=False, lineterminator="\n")
        return {"rows": len(value), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if type(value) is dict:
        return {str(key): to_data(item, _other) for key, item in value.items()}
    return {"type": place_of(type(value)), "sha256": content_hash(value)}
