"""What a job records about its design, so that it is not continued with another one."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pandas as pd

from adagrid._content import UnknownContentError, content_hash, hash_of_parts
from adagrid._data import place_of, to_data
from adagrid.errors import InvalidInputError
from adagrid.models.model import Model

# Attributes that are recorded apart, or are not of the design.
_APART = ("arguments", "seed")


def model_name(model: Model) -> str:
    """Return the design's class as module:name."""
    return place_of(type(model))


def model_arguments(model: Model) -> dict[str, Any]:
    """Return the constructor's arguments in a form that JSON holds; other values by their type and a hash.

    Raises:
        InvalidInputError: if it cannot be told what an argument holds.
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
    """Return a hash of a design's attributes by content; those that pickle cannot store are left out."""
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
