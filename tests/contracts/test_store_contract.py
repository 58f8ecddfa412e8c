"""Every store keeps the contract."""

from __future__ import annotations

from contextlib import closing

import pytest

import adagrid.stores
from adagrid._registry import implementations
from adagrid.stores import Store, open_store
from adagrid.stores._sql_relations import relations
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing import PandasStore
from adagrid.testing.stores import DAMAGES, JOBS, StoreContract, fill


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
    """The same statements as in memory: of the damages of each job one is enough, and a few moments of it."""

    verify_every = 7

    @pytest.mark.parametrize(("job", "relation", "culprit", "damage"), [DAMAGES[0], DAMAGES[22], DAMAGES[-1]])
    def test_verify_notices(self, empty, job, relation, culprit, damage):
        super().test_verify_notices(empty, job, relation, culprit, damage)

    @pytest.fixture
    def empty(self, tmp_path):
        with_store = DuckDBStore(tmp_path / "job.duckdb")
        yield with_store
        with_store.close()


def test_every_store_is_tested():
    tested = {TestDuckDBMemory: DuckDBStore, "test_clickhouse.py": ClickHouseStore}
    assert set(implementations(adagrid.stores, Store).values()) == set(tested.values())


def test_no_name_stands_for_a_store_in_frames(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(open_store("pandas")) as store:
        assert store.location == str(tmp_path / "pandas")


@pytest.mark.parametrize("job", JOBS)
def test_every_relation_is_tested(job):
    broken = [relation for damaged, relation, _, _ in DAMAGES if JOBS[damaged][0] == JOBS[job][0]]
    assert [name for name in relations(JOBS[job][0]) if not any(relation in name for relation in broken)] == []


@pytest.mark.parametrize("job", JOBS)
def test_a_file_can_be_opened_again(tmp_path, job):
    path = tmp_path / "job.duckdb"
    written = DuckDBStore(path)
    fill(written, job)
    counts = written.summary()
    written.close()
    read = DuckDBStore(path, read_only=True)
    assert read.schema == JOBS[job][0]
    assert read.summary() == counts
    read.verify()
    read.close()
