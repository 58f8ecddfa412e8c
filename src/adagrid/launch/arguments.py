"""Refuses arguments that belong elsewhere, and says where."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
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


def _remedy(name: str, value: object, known: Collection[str]) -> str:
    """Return what to write instead of an argument that there is not."""
    said = f"{name}={value!r}" if isinstance(value, (str, int, float)) else f"{name}=..."
    homes = [
        home
        for argument, home, names in (
            ("method", f"method=ada.Classic({said})", Classic.names()),
            ("method", f"method=ada.Interpolated({said})", Interpolated.names()),
            ("options", f"options=ada.RunOptions({said})", RunOptions.names()),
        )
        if name in names and argument in known
    ]
    if homes:
        return f"{name} is given as {' or '.join(homes)}."
    if name == "model_kwargs":
        return f"There is no argument {name}: give the design itself, such as ada.ZTest(), in place of its class."
    moved = [*Classic.names(), *RunOptions.names()] if "method" in known else [*RunOptions.names()]
    close = difflib.get_close_matches(name, [*known, *moved], 1, cutoff=0.75)
    meant = f"Did you mean {close[0]!r}?" if close else f"The arguments are {', '.join(known)}."
    return f"There is no argument {name!r}; got {said}. {meant}"
