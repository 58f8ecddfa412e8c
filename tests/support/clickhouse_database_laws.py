"""Jobs on a server are listed and dropped; what is not ours is left alone."""

from __future__ import annotations

import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError, NotAJobError
from adagrid.stores._clickhouse_connection import Connection
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.testing.stores import JOBS
from tests.support.jobcases import run_case


class DatabaseContract:
    """A fixture `address` gives a server's URL and how to connect to it."""

    @pytest.fixture
    def address(self):
        raise NotImplementedError

    @pytest.fixture
    def place(self, address):
        """A server's URL and how to connect to it, with nothing on it."""
        url, connect = address
        connection = Connection(read_url(url, server=True), 10.0, connect)
        databases = lambda: [str(name) for name in connection.query("select name from system.databases")["name"]]
        for name in databases():
            if name.startswith("adagrid_") or name in ("other", "adagrid"):
                connection.command(f"drop database {name}")
        yield url, connect, connection, databases
        connection.close()

    def test_jobs_are_listed(self, place):
        url, connect, *_ = place
        for case, name in (("validate_z", "a"), ("staged_calibrate_fisher", "B_2")):
            run_case(case, db=ClickHouseStore(f"{url}/{name}", connect=connect)).close()
        begun = ClickHouseStore(f"{url}/begun", connect=connect)
        begun.create(JOBS["classic"][0])
        begun.close()
        found = ada.list_jobs(url, connect=connect).set_index("job_id")
        assert found.index.tolist() == ["B_2", "a", "begun"]
        assert found["kind"].tolist()[:2] == ["calibrate", "validate"]
        assert found["method"].tolist()[:2] == ["interpolated", "classic"]
        assert found["model"].tolist()[:2] == ["ArrayFisher", "ArrayZ"]
        assert "no job yet" in found.loc["begun", "problem"]
        assert found["url"].tolist() == [str(read_url(f"{url}/{name}")) for name in found.index]
        assert (found["last_sign"][:2] >= found["started"][:2]).all()
        assert (found["megabytes"] > 0).all()

    def test_an_empty_server(self, place):
        url, connect, *_ = place
        found = ada.list_jobs(url, connect=connect)
        assert len(found) == 0
        assert "job_id" in found.columns

    def test_a_job_is_dropped_and_no_other(self, place):
        url, connect, _, databases = place
        for name in ("first", "second"):
            run_case("validate_z", db=ClickHouseStore(f"{url}/{name}", connect=connect)).close()
        before = set(databases())
        for confirm in ("second", "", "FIRST"):
            with pytest.raises(InvalidInputError, match="once more"):
                ada.drop_job(f"{url}/first", confirm=confirm, connect=connect)
        assert set(databases()) == before
        ada.drop_job(f"{url}/first", confirm="first", connect=connect)
        assert before - set(databases()) == {"adagrid_first"}
        assert ada.list_jobs(url, connect=connect)["job_id"].tolist() == ["second"]
        with pytest.raises(NotAJobError, match="no database"):
            ada.drop_job(f"{url}/first", confirm="first", connect=connect)
        run_case("validate_z", db=ClickHouseStore(f"{url}/first", connect=connect)).close()

    def test_what_is_not_ours_is_neither_listed_nor_dropped(self, place):
        url, connect, connection, databases = place
        run_case("validate_z", db=ClickHouseStore(f"{url}/mixed", connect=connect)).close()
        ours = "(id UInt64) engine = MergeTree() order by id"
        for name, tables in (("other", ["tiles"]), ("adagrid", ["tiles"]), ("adagrid_ours", ["tiles", "patients"])):
            connection.command(f"create database {name}")
            for table in tables:
                connection.command(f"create table {name}.{table} {ours}")
        connection.command("create database adagrid_empty")
        connection.command(f"create table adagrid_mixed.patients {ours}")
        before = set(databases())
        assert len(ada.list_jobs(url, connect=connect)) == 0
        for name in ("ours", "mixed"):
            with pytest.raises(NotAJobError, match="left alone"):
                ada.drop_job(f"{url}/{name}", confirm=name, connect=connect)
        assert set(databases()) == before
        ada.drop_job(f"{url}/empty", confirm="empty", connect=connect)  # as an interrupted drop leaves it
        assert before - set(databases()) == {"adagrid_empty"}
        kept = connection.query(
            "select name from system.tables where database = :database", {"database": "adagrid_mixed"}
        )
        assert {"tiles", "results", "patients"} <= set(kept["name"])
