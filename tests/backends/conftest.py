"""Clusters and databases for tests of workers."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import distributed
import pytest
from clusters import local_cluster
from compiled import compiled_once, share_in_this_process  # noqa: F401 - a fixture

import adagrid as ada
from adagrid.stores.clickhouse import ClickHouseStore
from clickhouse_server import connect_to_old_server


@pytest.fixture(scope="module")
def clusters():
    """Clusters by their number of workers, which share compiled designs between runs.

    They end with the module: idle workers and schedulers keep the processors of small machines busy.
    """
    with ExitStack() as stack:
        started = {}

        def cluster(n_workers):
            if n_workers not in started:
                started[n_workers] = stack.enter_context(local_cluster(n_workers))
                with distributed.Client(started[n_workers], set_as_default=False) as client:
                    client.run(share_in_this_process)
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
def workers(clusters):
    """A backend of two workers and four zones."""
    return ada.DaskBackend(4, 2, cluster=clusters(2))
