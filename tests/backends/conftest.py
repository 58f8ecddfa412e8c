"""Compiled designs are shared."""

from compiled import compiled_once  # noqa: F401 - a fixture
