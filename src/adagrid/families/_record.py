"""Families as data: what a job writes down, so that its bounds can be recomputed from its tables alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from adagrid._records import built, to_data
from adagrid._registry import implementation
from adagrid.families.base import Family


class _NotRecordedError(Exception):
    """A family, or one inside it, is a user's own."""


def family_record(family: Family) -> dict[str, Any]:
    """Return the registered name and the fields of a family, as JSON has them; nothing for a family of a user's own.

    Families inside it are recorded in the same way; if one of these is a user's own, nothing is returned.
    """
    try:
        return _recorded(family)
    except _NotRecordedError:
        return {}


def recorded_family(record: Mapping[str, Any]) -> Family | None:
    """Return the family that a record describes, None for a family of a user's own."""
    cls = implementation(_package(), str(record.get("name")), Family)  # type: ignore[type-abstract]
    return None if cls is None else built(cls, record["fields"], recorded_family)


def _recorded(family: Family) -> dict[str, Any]:
    package, _, name = type(family).__module__.rpartition(".")
    if package != __package__ or implementation(_package(), name, Family) is not type(family):  # type: ignore[type-abstract]
        raise _NotRecordedError
    return {"name": name, "fields": {field: to_data(value, _inner) for field, value in sorted(vars(family).items())}}


def _package() -> ModuleType:
    return sys.modules[__package__]


def _inner(value: Any) -> Any:
    return _recorded(value) if isinstance(value, Family) else value
