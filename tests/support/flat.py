"""The entry points with all settings side by side, as tests vary them: each goes to where it belongs.

A new job is by the classic method unless it says otherwise, and one that is continued by its own.
"""

from __future__ import annotations

import adagrid as ada
from adagrid.settings.settings import Settings

METHODS = {"classic": ada.Classic, "interpolated": ada.Interpolated}


def ada_validate(model, **values) -> ada.Run:
    return ada.ada_validate(model, **_sorted(values))


def ada_calibrate(model, **values) -> ada.Run:
    return ada.ada_calibrate(model, **_sorted(values))


def validate(model, **values) -> ada.Run:
    return ada.validate(model, **_with_options(values))


def calibrate(model, **values) -> ada.Run:
    return ada.calibrate(model, **_with_options(values))


def bootstrap_calibrate(model, **values) -> ada.Run:
    return ada.bootstrap_calibrate(model, **_with_options(values))


def _sorted(values):
    method = values.pop("method", "classic" if values.get("grid") is not None else None)
    if method is None and {*values} & (ada.Classic.names() - ada.Interpolated.names()):
        method = "classic"
    if isinstance(method, str) and method in METHODS:
        cls = METHODS[method]
        method = cls(**{name: values.pop(name) for name in [*values] if name in cls.names()})
    return {**_with_options(values), "method": method}


def _with_options(values):
    own = {name: values.pop(name) for name in [*values] if name in ada.RunOptions.names()}
    return {**values, "options": ada.RunOptions(**own)} if own else values


def settings(kind, method, **values) -> Settings:
    """Return the settings of a job with some values."""
    return Settings.of(kind, METHODS[method](), values)
