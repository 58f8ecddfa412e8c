"""Families as data: what a job writes down, so that its bounds can be recomputed from its tables alone."""

from __future__ import annotations

import sys
from typing import Any

from adagrid._registry import implementations
from adagrid.families.base import Family


def family_record(family: Family) -> dict[str, Any]:
    """Return the registered name and the fields of a family; nothing for a family of a user's own."""
    for name, cls in _known().items():
        if type(family) is cls:
            return {"name": name, "fields": {field: _plain(value) for field, value in sorted(vars(family).items())}}
    return {}


def recorded_family(record: dict[str, Any]) -> Family | None:
    """Return the family that a record describes, None for a family of a user's own."""
    cls = _known().get(str(record.get("name")))
    return cls(**record["fields"]) if cls is not None else None


def _known() -> dict[str, type[Family]]:
    return implementations(sys.modules[__package__], Family)  # type: ignore[type-abstract]


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
