"""Finds implementations by the module they live in: the module's name is the registered name.

A new family, model, store or policy is one new file: nothing else has to be edited.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def implementations(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Return the concrete subclasses of `base` defined in the public modules of `package`.

    Args:
        package: the package to look through; modules whose name starts with an underscore are passed over.
        base: the abstract class of the extension point.

    Returns:
        Module name to class, sorted by name. A module defines at most one implementation.
    """
    found: dict[str, type[T]] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        classes = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, base)
            and value.__module__ == module.__name__
            and not inspect.isabstract(value)
        ]
        if len(classes) > 1:
            raise TypeError(f"{module.__name__} must define one {base.__name__}, but defines {classes}.")
        if classes:
            found[info.name] = classes[0]
    return found
