"""Marks what needs servers, and shares clusters and databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster_fixtures import clusters, on_server, opened, workers  # noqa: F401 - fixtures

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before marks choose
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
