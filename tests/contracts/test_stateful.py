"""A few random sequences of operations on the stores that run in this process."""

from __future__ import annotations

from tests.support.store_machine import run_clickhouse_of_today, run_duckdb


def test_duckdb(tmp_path):
    run_duckdb(tmp_path, 6)


def test_clickhouse_of_today(modern_folder):
    run_clickhouse_of_today(modern_folder, 2)
