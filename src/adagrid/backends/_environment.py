"""Checks of secrets and options that backends of rented machines share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def problems_of(secrets: Sequence[str] | None) -> list[str]:
    """Return problems of names of environment variables, without their values."""
    if secrets is None:
        return []
    if isinstance(secrets, str) or not all(isinstance(name, str) for name in secrets):
        return ["secrets must be names of environment variables, such as ['ADAGRID_CLICKHOUSE_PASSWORD']."]
    return [
        f"secrets must be names of environment variables that are set; number {number} of them is not. Never give a "
        "password here: the variables' values are passed on."
        for number, name in enumerate(secrets, start=1)
        if name not in os.environ  # the message omits the name, which may be the secret itself
    ]


def known(names: Sequence[str]) -> dict[str, str]:
    """Return the values of the named variables that are set."""
    return {name: os.environ[name] for name in names if name in os.environ}


def unknown_options(backend: str, given: Iterable[str], options: Sequence[str]) -> list[str]:
    """Return problems of the names of options that a backend passes on."""
    return [
        f"{backend} has no argument {name!r}; in addition to its own it takes {', '.join(options)}."
        for name in given
        if name not in options
    ]
