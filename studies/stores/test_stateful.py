"""More random sequences of operations on every store."""

from __future__ import annotations

from tests.support.store_machine import run_clickhouse_of_2018, run_clickhouse_of_today, run_duckdb


def test_duckdb(tmp_path):
    run_duckdb(tmp_path, 18)


def test_clickhouse_of_today(modern_folder):
    run_clickhouse_of_today(modern_folder, 6)


def test_clickhouse_of_2018(server):
    run_clickhouse_of_2018(server, 9)
