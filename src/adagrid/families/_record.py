"""Records of families, from which a job's tables alone reproduce its bounds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from adagrid._data import built, to_data
from adagrid._registry import implementation
from adagrid.families.family import Family


class _NotRecordedError(Exception):
    """A family, or a family inside it, is user-defined."""


def family_record(family: Family) -> dict[str, Any]:
    """Return the name and fields of a family as JSON values.

    Fields may hold families, which are recorded in the same way. The record is empty if any of these families is
    user-defined.
    """
    try:
        return _recorded(family)
    except _NotRecordedError:
        return {}


def recorded_family(record: Mapping[str, Any]) -> Family | None:
    """Return the recorded family, or None if it is user-defined."""
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
