"""Values that a user gives: checked at once, frozen, and recorded with the job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from adagrid.errors import InvalidInputError

T = TypeVar("T")


class Options(BaseModel):
    """A frozen set of values with names.

    Raises:
        InvalidInputError: from the constructor, naming every value that breaks its rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    words: ClassVar[frozenset[str]] = frozenset()
    """The fields that are no numbers."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**{name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()})
            return
        except ValidationError as error:
            problems = error.errors()
        for problem in problems:  # a traceback here would keep the caller's database alive
            cause = problem.get("ctx", {}).get("error")
            if isinstance(cause, Exception):
                cause.__traceback__ = None
        raise InvalidInputError([_sentence(type(self), problem) for problem in problems])

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse text and truth values for numbers, which pydantic would read as numbers."""
        if isinstance(value, (str, bool)) and info.field_name not in cls.words:
            raise ValueError(f"{type(value).__name__} is no number")
        return value

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the values."""
        return frozenset(cls.model_fields)


def all_of(*makers: Callable[[], T]) -> list[T]:
    """Return what several functions make, or raise everything that is wrong with their input at once.

    Raises:
        InvalidInputError: with the problems of all functions, in their order.
    """
    made, errors = list[T](), list[InvalidInputError]()
    for maker in makers:
        try:
            made.append(maker())
        except InvalidInputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidInputError([problem for error in errors for problem in error.problems])
    return made


def _sentence(cls: type[Options], problem: Any) -> str:
    """Turn one problem into a sentence: the rule, the value, what the field is."""
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    if name not in cls.model_fields:
        return f"{name!r} is no setting of {cls.__name__}. It has {_listed(cls.model_fields)}."
    message = str(problem["msg"]).removeprefix("Value error, ")
    rule = message[0].lower() + message[1:]
    return f"{name} must be {cls.model_fields[name].description}; got {problem['input']!r} ({rule})."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
