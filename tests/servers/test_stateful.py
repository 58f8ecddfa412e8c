"""A few random sequences of operations on a server."""

from __future__ import annotations

import pytest

from tests.support.store_machine import run_clickhouse_of_2018


@pytest.mark.sample
def test_clickhouse_of_2018(server):
    run_clickhouse_of_2018(server, 3)
