"""Jobs on today's ClickHouse, in this process, keep the contract of stores."""

from __future__ import annotations

import clickhouse_connect
import pytest

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
        }
    ]
