"""Clusters and databases for tests of workers."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest

import adagrid as ada
from adagrid.stores import open_store
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.testing import PandasStore
from tests.support.clickhouse_server import connect_to_old_server
from tests.support.clusters import local_cluster


@pytest.fixture(scope="module")
def clusters():
    """Clusters by their number of workers.

    They end with the module: idle workers and schedulers keep the processors of small machines busy.
    """
    with ExitStack() as stack:
        started = {}

        def cluster(n_workers):
            if n_workers not in started:
                started[n_workers] = stack.enter_context(local_cluster(n_workers))
            return started[n_workers]

        yield cluster


@pytest.fixture
def on_server(server):
    """Opens a new job on a server, or one again."""
    with ExitStack() as stack:

        def opened(url=None):
            url = url or server.url(f"job_{uuid.uuid4().hex}")
            store = ClickHouseStore(url, connect=connect_to_old_server)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def opened(tmp_path, request):
    """Opens a job, new or again."""

    def opened(where, before=None):
        if where == "server":
            return request.getfixturevalue("on_server")(before and before.location)
        if where == "file":
            return open_store(tmp_path / "job.duckdb")
        return before or (PandasStore() if where == "pandas" else open_store())

    return opened


@pytest.fixture
def workers(clusters):
    """A backend of two workers and four zones."""
    return ada.DaskBackend(4, 2, cluster=clusters(2))
