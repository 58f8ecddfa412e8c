"""Jobs on a server are listed and dropped; what is not ours is left alone."""

from __future__ import annotations

import os
import re

import clickhouse_connect
import pytest
from jobcases import run_case
from typer.testing import CliRunner

import adagrid as ada
from adagrid._secrets import PASSWORD
from adagrid.cli import app
from adagrid.errors import InvalidInputError, NotAJobError, StoreError
from adagrid.stores._clickhouse_connection import Connection
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.testing.stores import JOBS
from clickhouse_server import CANARY, GUARDED, connect_to_old_server


@pytest.fixture(params=["modern", "old"])
def place(request):
    """A server's URL and how to connect to it, with nothing on it."""
    if request.param == "modern":
        folder = request.getfixturevalue("modern_folder")
        url, connect = "clickhouse://localhost", lambda _: clickhouse_connect.get_client(interface="chdb", path=folder)
    else:
        url, connect = request.getfixturevalue("server").url("").rstrip("/"), connect_to_old_server
    connection = Connection(read_url(url, server=True), 10.0, connect)
    databases = lambda: [str(name) for name in connection.query("select name from system.databases")["name"]]
    for name in databases():
        if name.startswith("adagrid_") or name in ("other", "adagrid"):
            connection.command(f"drop database {name}")
    yield url, connect, connection, databases
    connection.close()


def test_jobs_are_listed(place):
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
    assert found["model"].tolist()[:2] == ["FisherExact", "ZTest"]
    assert "no job yet" in found.loc["begun", "problem"]
    assert found["url"].tolist() == [str(read_url(f"{url}/{name}")) for name in found.index]
    assert (found["last_sign"][:2] >= found["started"][:2]).all()
    assert (found["megabytes"] > 0).all()


def test_an_empty_server(place):
    url, connect, *_ = place
    found = ada.list_jobs(url, connect=connect)
    assert len(found) == 0
    assert "job_id" in found.columns


def test_a_job_is_dropped_and_no_other(place):
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


def test_what_is_not_ours_is_neither_listed_nor_dropped(place):
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
    kept = connection.query("select name from system.tables where database = :database", {"database": "adagrid_mixed"})
    assert {"tiles", "results", "patients"} <= set(kept["name"])


@pytest.mark.parametrize(
    "url", ["clickhouse://localhost", "clickhouse://localhost/", "clickhouse://localhost:1?secure=true"]
)
def test_dropping_needs_a_name(url):
    with pytest.raises(InvalidInputError, match="job_id at the end"):
        ada.drop_job(url, confirm="")


@pytest.mark.parametrize("url", ["clickhouse://db.example.org/job", "clickhouse://localhost/a;b"])
def test_listing_needs_a_server(url):
    with pytest.raises(InvalidInputError, match="without a job_id"):
        ada.list_jobs(url)


def test_listing_repeats_no_password(server, monkeypatch):
    monkeypatch.setenv(PASSWORD, f"wrong-{CANARY}")
    with pytest.raises(StoreError, match="refuses this user") as caught:
        ada.list_jobs(server.url("", user=GUARDED).rstrip("/"), connect=connect_to_old_server)
    assert CANARY not in str(caught.value)


def test_commands(modern_folder, monkeypatch):
    monkeypatch.setitem(os.environ, "COLUMNS", "200")
    get_client = clickhouse_connect.get_client
    in_process = lambda **how: get_client(interface="chdb", path=modern_folder)
    monkeypatch.setattr(clickhouse_connect, "get_client", in_process)
    url = "clickhouse://localhost/by_command"
    run_case("validate_z", db=url).close()
    invoke = lambda *words, answer="": CliRunner().invoke(app, list(words), input=answer)
    assert re.search(r"by_command.*classic validate, ZTest", invoke("jobs", "clickhouse://localhost").output)
    wrong = invoke("drop", url, answer="by_comand\n")
    assert (wrong.exit_code, "Nothing was dropped" in wrong.output) == (1, True)
    assert invoke("drop", url).exit_code == 1  # nobody answers
    assert "by_command" in invoke("jobs", "clickhouse://localhost").output
    dropped = invoke("drop", url, answer="by_command\n")
    assert "Type I Error" in dropped.output  # what it is about, before asking
    assert dropped.exit_code == 0
    assert "by_command" not in invoke("jobs", "clickhouse://localhost").output
    assert invoke("drop", url, "--confirm", "by_command").exit_code == 1
