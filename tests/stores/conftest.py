"""The two ends of ClickHouse's history: today's engine in this process, and a server of 2018 over a socket."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, closing, contextmanager

import clickhouse_connect
import pytest

from adagrid.stores.clickhouse import ClickHouseStore
from clickhouse_server import connect_to_old_server


@pytest.fixture(scope="session")
def modern_folder(tmp_path_factory):
    """The engine allows one folder per process. It stops with its last connection and takes long to start: keep one."""
    folder = str(tmp_path_factory.mktemp("chdb"))
    with closing(clickhouse_connect.get_client(interface="chdb", path=folder)):
        yield folder


@pytest.fixture
def modern(modern_folder):
    """Opens jobs on the modern engine."""

    def connect(address):
        return clickhouse_connect.get_client(interface="chdb", path=modern_folder)

    with _closing() as opened:
        yield lambda job_id=None: opened("clickhouse://localhost", job_id, connect)


@pytest.fixture
def old(server):
    """Opens jobs on the old server."""
    with _closing() as opened:
        yield lambda job_id=None: opened(server.url(""), job_id, connect_to_old_server)


@pytest.fixture(params=["modern", "old"])
def engine(request):
    """Opens jobs on either."""
    return request.getfixturevalue(request.param)


@contextmanager
def _closing():
    """Yield a function that opens jobs, which are closed in the end."""
    with ExitStack() as stack:

        def opened(url, job_id, connect):
            url = f"{url.rstrip('/')}/{job_id or f'test_{uuid.uuid4().hex}'}"
            return stack.enter_context(closing(ClickHouseStore(url, connect=connect)))

        yield opened
