"""Refuses arguments that belong elsewhere, and says where."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from adagrid.errors import InvalidInputError
from adagrid.methods.classic import Classic
from adagrid.methods.interpolated import Interpolated
from adagrid.settings.run_options import RunOptions

P = ParamSpec("P")
R = TypeVar("R")


def explain_misplaced(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse keyword arguments that it does not have with a sentence that says where they belong."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if problems := [_remedy(name, value, known) for name, value in kwargs.items() if name not in known]:
            raise InvalidInputError(problems)
        return function(*args, **kwargs)

    return checked


def _remedy(name: str, value: object, known: object) -> str:
    """Return what to write instead of an argument that there is not."""
    said = f"{name}={value!r}"
    homes = [
        home
        for home, names in (
            (f"method=ada.Classic({said})", Classic.names()),
            (f"method=ada.Interpolated({said})", Interpolated.names()),
            (f"options=ada.RunOptions({said})", RunOptions.names()),
        )
        if name in names
    ]
    if homes:
        return f"{name} is given as {' or '.join(homes)}."
    if name == "model_kwargs":
        return f"There is no argument {name}: give the design itself, such as ada.ZTest(), in place of its class."
    everything = [*known, *Classic.names(), *RunOptions.names()]  # type: ignore[misc]
    close = difflib.get_close_matches(name, map(str, everything), 1)
    return f"There is no argument {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
