"""Jobs on today's ClickHouse are listed and dropped, by functions and by commands."""

from __future__ import annotations

import os
import re

import clickhouse_connect
import pytest
from typer.testing import CliRunner

import adagrid as ada
from adagrid.cli import app
from tests.support.clickhouse_database_laws import DatabaseContract
from tests.support.jobcases import run_case


class TestModern(DatabaseContract):
    @pytest.fixture
    def address(self, modern_folder):
        return "clickhouse://localhost", lambda _: clickhouse_connect.get_client(interface="chdb", path=modern_folder)


def test_commands(modern_folder, monkeypatch):
    monkeypatch.setitem(os.environ, "COLUMNS", "200")
    get_client = clickhouse_connect.get_client
    in_process = lambda **how: get_client(interface="chdb", path=modern_folder)
    monkeypatch.setattr(clickhouse_connect, "get_client", in_process)
    url = "clickhouse://localhost/by_command"
    run_case("validate_z", ada.ZTest(), db=url).close()
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
