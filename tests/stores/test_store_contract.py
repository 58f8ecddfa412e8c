"""Every store keeps the contract."""

from __future__ import annotations

import pytest

import adagrid.stores
from adagrid._registry import implementations
from adagrid.stores import Store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.pandas import PandasStore
from adagrid.testing.stores import StoreContract


class TestPandas(StoreContract):
    @pytest.fixture
    def empty(self):
        return PandasStore()


class TestDuckDBMemory(StoreContract):
    @pytest.fixture
    def empty(self):
        with_store = DuckDBStore(":memory:")
        yield with_store
        with_store.close()


class TestDuckDBFile(StoreContract):
    @pytest.fixture
    def empty(self, tmp_path):
        with_store = DuckDBStore(tmp_path / "job.duckdb")
        yield with_store
        with_store.close()


def test_every_store_is_tested():
    tested = {TestPandas: PandasStore, TestDuckDBMemory: DuckDBStore}
    assert set(implementations(adagrid.stores, Store).values()) == set(tested.values())
