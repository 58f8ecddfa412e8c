"""Processes that kill and continue jobs, and the databases of these."""

from __future__ import annotations

import pytest

from tests.support.faults.jobs import ClickHouseDatabases
from tests.support.faults.runs import Workers


@pytest.fixture(scope="module")
def killers(tmp_path_factory):
    with Workers(tmp_path_factory.mktemp("compiled")) as killers:
        yield killers


@pytest.fixture(scope="module")
def databases(server):
    return ClickHouseDatabases(server.port)
