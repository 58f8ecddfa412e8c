"""Optional libraries: one clear message when one is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from adagrid.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of adagrid brings it.

    Raises:
        MissingExtraError: if the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"This needs {module.partition('.')[0]!r}, which is not installed: pip install 'adagrid[{extra}]'"
        ) from error
