"""Backups on a server: complete in the end although it is killed, and without its password."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import adagrid.copies.backup
from adagrid.stores.clickhouse import ClickHouseStore
from tests.support.backups import EVERY, assert_backed_up, at_work, wait_for
from tests.support.clickhouse_server import BINARY, CANARY, GUARDED, WITHOUT, ClickHouseServer, connect_to_old_server
from tests.support.jobcases import assert_same, run_case, tables

CASES = ("validate_z", "staged_validate_z")


@pytest.fixture
def own_server(tmp_path):
    if BINARY is None:
        pytest.skip(WITHOUT)
    (tmp_path / "server").mkdir()
    server = ClickHouseServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("case", CASES)
def test_a_server_that_is_killed_and_comes_back(case, own_server, monkeypatch):
    """The job goes on, tells, and the backup is complete in the end."""
    monkeypatch.setattr(adagrid.copies.backup, "_PAUSE", 0.1)
    opened, steps = [], []

    def backup():
        store = ClickHouseStore(own_server.url("kept"), patience=0.5, connect=connect_to_old_server)
        opened.append(store.location)
        return store

    def fail(report):
        steps.append(report)
        if len(steps) == 2:
            own_server.kill()
        if len(steps) == 4:
            wait_for(lambda: not at_work())
            restart.start()

    restart = threading.Timer(0.5, own_server.start)
    run = run_case(case, backup=backup, callback=fail, backend=EVERY, n_steps=8)
    restart.join()
    assert len(steps) >= 4
    assert len(opened) >= 3
    assert_same(run, tables(run_case(case, backend=EVERY, n_steps=8)))
    copy = backup()
    assert_backed_up(run, copy)
    copy.verify()
    copy.close()


def test_no_password_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    url = server.url("kept", user=GUARDED)
    place = lambda: ClickHouseStore(url, connect=connect_to_old_server)
    run = run_case("validate_z", db=tmp_path / "job.duckdb", backup=place, backend=EVERY)
    run.close()
    copy = place()
    told = [copy.table(name).to_csv() for name in copy.schema.tables]
    copy.close()
    assert CANARY not in "".join(told)
    assert CANARY.encode() not in Path(tmp_path / "job.duckdb").read_bytes()
