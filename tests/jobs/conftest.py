"""Compiled designs are shared."""

from tests.support.compiled import compiled_once  # noqa: F401 - a fixture
