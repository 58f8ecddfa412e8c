"""Databases that many tests share: today's ClickHouse in this process, one of 2018 over a socket, and empty ones."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, closing, contextmanager

import clickhouse_connect
import pytest

import adagrid as ada
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing import PandasStore
from tests.support.clickhouse_server import BINARY, WITHOUT, ClickHouseServer, connect_to_old_server
from tests.support.jobcases import run_case


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A ClickHouse server of 2018, on this machine."""
    if BINARY is None:
        pytest.skip(WITHOUT)
    started = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def modern_folder(tmp_path_factory):
    """The engine allows one folder per process. It stops with its last connection and takes long to start: keep one."""
    folder = str(tmp_path_factory.mktemp("chdb"))
    with closing(clickhouse_connect.get_client(interface="chdb", path=folder)):
        yield folder


@pytest.fixture
def modern(modern_folder):
    """Opens jobs on the modern engine, which holds in memory what it knows of them: they are dropped in the end."""

    def connect(address=None):
        return clickhouse_connect.get_client(interface="chdb", path=modern_folder)

    with _closing() as opened:
        yield lambda job_id=None: opened("clickhouse://localhost", job_id, connect)
    with closing(connect()) as client:
        for (name,) in client.query("show databases like 'adagrid%'").result_rows:
            client.command(f"drop database `{name}` sync")


@pytest.fixture
def old(server):
    """Opens jobs on the old server."""
    with _closing() as opened:
        yield lambda job_id=None: opened(server.url(""), job_id, connect_to_old_server)


@pytest.fixture(scope="module", params=["validate_z", "staged_validate_z"])
def copied_job(request):
    """A whole job; the classic one is certified."""
    run = run_case(request.param, db=PandasStore(), n_steps=4, backend=ada.LocalBackend(n_zones=2, coordinate_every=2))
    return run.certify()._store


@pytest.fixture
def empty_store(request, tmp_path):
    """Makes an empty store of a kind."""
    opened = []

    def store(kind):
        if kind in ("modern", "old"):
            return request.getfixturevalue(kind)()
        made = (
            PandasStore()
            if kind == "pandas"
            else DuckDBStore(tmp_path / f"{len(opened)}" if kind == "file" else ":memory:")
        )
        opened.append(made)
        return made

    yield store
    for each in opened:
        each.close()


@contextmanager
def _closing():
    """Yield a function that opens jobs, which are closed in the end."""
    with ExitStack() as stack:

        def opened(url, job_id, connect):
            url = f"{url.rstrip('/')}/{job_id or f'test_{uuid.uuid4().hex}'}"
            return stack.enter_context(closing(ClickHouseStore(url, connect=connect)))

        yield opened
