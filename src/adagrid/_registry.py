"""Finds implementations by the module they live in: the module's name is the registered name.

A new family, model, store or policy is one new file: nothing else has to be edited.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def classes_by_file(path: Iterable[str], **others: str) -> dict[str, str]:
    """Return which class each public module of a package defines, without loading the modules.

    A class is named as its file: `z_test.py` defines `ZTest`.

    Args:
        path: the package's `__path__`.
        others: classes that are named otherwise, by their modules.

    Returns:
        Module name to class name, sorted by module.
    """
    return {module: others.get(module, module.title().replace("_", "")) for module in _public_modules(path)}


def implementations(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Return the concrete subclasses of `base` defined in the public modules of `package`.

    Args:
        package: the package to look through; modules whose name starts with an underscore are passed over.
        base: the abstract class of the extension point.

    Returns:
        Module name to class, sorted by name. A module defines at most one implementation.
    """
    found = ((module, implementation(package, module, base)) for module in _public_modules(package.__path__))
    return {module: cls for module, cls in found if cls is not None}


def implementation(package: ModuleType, module: str, base: type[T]) -> type[T] | None:
    """Return the concrete subclass of `base` defined in a public module of `package`; None if there is none."""
    if module not in _public_modules(package.__path__):
        return None
    loaded = importlib.import_module(f"{package.__name__}.{module}")
    classes = [
        value
        for value in vars(loaded).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == loaded.__name__
        and not inspect.isabstract(value)
    ]
    if len(classes) > 1:
        raise TypeError(f"{loaded.__name__} must define one {base.__name__}, but defines {classes}.")
    return classes[0] if classes else None


def named(package: ModuleType, base: type[T], name: str) -> type[T]:
    """Return the class of a name: one of a public module of `package`, or one that somebody else has defined.

    Args:
        package: the package whose modules define the classes that come with adagrid.
        base: the abstract class of the extension point; its classes have the attribute `name`.
        name: the name.

    Raises:
        KeyError: if there is none.
    """
    if (found := implementation(package, name, base)) is not None:
        return found
    for cls in reversed(_descendants(base)):  # the latest, where a notebook has defined it again
        if getattr(cls, "name", None) == name and not inspect.isabstract(cls):
            return cls
    raise KeyError(name)


def names_of(package: ModuleType, base: type[T]) -> set[str]:
    """Return the names that `named` knows."""
    others = {str(vars(cls)["name"]) for cls in _descendants(base) if "name" in vars(cls)}
    return others | {name for name in _public_modules(package.__path__) if implementation(package, name, base)}


def _descendants(base: type[T]) -> list[type[T]]:
    return [each for cls in base.__subclasses__() for each in (cls, *_descendants(cls))]


def _public_modules(path: Iterable[str]) -> list[str]:
    return sorted(info.name for info in pkgutil.iter_modules(path) if not info.name.startswith("_"))
