"""Jobs on today's ClickHouse, in this process, keep the contract of stores."""

from __future__ import annotations

from contextlib import closing

import clickhouse_connect
import pytest

import adagrid as ada
from adagrid.errors import StoreError
from adagrid.testing import PandasStore
from tests.support.clickhouse_laws import REPEATS, ClickHouseContract
from tests.support.clickhouse_server import CANARY
from tests.support.jobcases import assert_same, run_case, tables


class TestModern(ClickHouseContract):
    @pytest.fixture
    def engine(self, modern):
        return modern


def test_few_damages_are_repeats():
    assert len(REPEATS) == 6
    assert {relation.partition(" ")[0] for _, relation, _, _ in REPEATS} == {"points", "pilot", "done", "steps"}


def test_a_url_is_all_that_a_job_needs(modern_folder, monkeypatch):
    asked, get_client = [], clickhouse_connect.get_client

    def in_process(**how):
        asked.append(how)
        return get_client(interface="chdb", path=modern_folder)

    monkeypatch.setattr(clickhouse_connect, "get_client", in_process)
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    url = "clickhouse://me@db.example.org/by_url?secure=true"
    with run_case("validate_z", db=url) as run:
        assert run.db == "clickhouse://me@db.example.org:8443/by_url?secure=true"
        assert_same(run, tables(run_case("validate_z")))
    assert asked == [
        {
            "host": "db.example.org",
            "port": 8443,
            "username": "me",
            "password": CANARY,
            "interface": "https",
            "autogenerate_session_id": False,
            "connect_timeout": 5,
            "send_receive_timeout": 5,
        }
    ]


def test_a_copy_that_fails_leaves_nothing(modern_folder, monkeypatch, tmp_path):
    """Of a job whose database fails after the tables of the copy were created."""
    get_client = clickhouse_connect.get_client
    monkeypatch.setattr(
        clickhouse_connect, "get_client", lambda **how: get_client(interface="chdb", path=modern_folder)
    )
    source, table = PandasStore(), PandasStore.table
    ada.copy_job(run_case("validate_z", db=PandasStore(), n_steps=1)._store, source)

    def failing(store, name):
        if name == "null_hypos" and store is source:
            raise StoreError("the disk fails")
        return table(store, name)

    monkeypatch.setattr(PandasStore, "table", failing)
    for target in (tmp_path / "copy.duckdb", "clickhouse://localhost/copy_that_fails"):
        with pytest.raises(StoreError, match="the disk fails"):
            ada.copy_job(source, target)
    assert list(tmp_path.iterdir()) == []
    with closing(get_client(interface="chdb", path=modern_folder)) as client:
        assert not client.query("show databases like 'adagrid_copy_that_fails'").result_rows
