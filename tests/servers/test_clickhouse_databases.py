"""Jobs on a ClickHouse server are listed and dropped."""

from __future__ import annotations

import pytest

import adagrid as ada
from adagrid._secrets import PASSWORD
from adagrid.errors import StoreError
from tests.support.clickhouse_database_laws import DatabaseContract
from tests.support.clickhouse_server import CANARY, GUARDED, connect_to_old_server


class TestOld(DatabaseContract):
    @pytest.fixture
    def address(self, server):
        return server.url("").rstrip("/"), connect_to_old_server


def test_listing_repeats_no_password(server, monkeypatch):
    monkeypatch.setenv(PASSWORD, f"wrong-{CANARY}")
    with pytest.raises(StoreError, match="refuses this user") as caught:
        ada.list_jobs(server.url("", user=GUARDED).rstrip("/"), connect=connect_to_old_server)
    assert CANARY not in str(caught.value)
