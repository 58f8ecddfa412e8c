"""How many examples random tests try."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """Return the count where examples are the same in every run, four times as many in `make studies`."""
    return count if settings.get_current_profile_name() == "fixed" else 4 * count
