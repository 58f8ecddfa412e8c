"""Jobs on ClickHouse keep the contract of stores, whatever the network does, and tell no password."""

from __future__ import annotations

import sys
import threading
import traceback

import clickhouse_connect
import numpy as np
import pandas as pd
import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from jobcases import assert_same, run_case, tables

from adagrid.errors import CorruptStoreError, InvalidInputError, MissingExtraError, NotAJobError, StoreError
from adagrid.jobs.run import Run
from adagrid.stores import Place, Store, ZoneView, open_store
from adagrid.stores._clickhouse_url import Address, read_url
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.pandas import PandasStore
from adagrid.stores.schema import INCIDENTAL
from adagrid.testing.stores import DAMAGES, JOBS, StoreContract, fill, result_rows, step_row, tile_rows
from clickhouse_server import BINARY, CANARY, GUARDED, WITHOUT, ClickHouseServer, connect_to_old_server


def _is_repeat(job, damage):
    """Return whether a sound job already has all rows of a damage."""
    return all(
        rows.merge(pd.concat([part[name] for part in JOBS[job][1] if name in part]), how="inner").shape[0] == len(rows)
        for name, rows in damage.items()
    )


_REPEATS = [damage for damage in DAMAGES if _is_repeat(damage[0], damage[3])]
_OTHERS = [damage for damage in DAMAGES if not _is_repeat(damage[0], damage[3])]


class ClickHouseContract(StoreContract):
    """A row that is there twice is no damage here; one that contradicts another is."""

    @pytest.mark.slow
    @pytest.mark.parametrize(("job", "relation", "culprit", "damage"), _OTHERS)
    def test_verify_notices(self, empty: Store, job, relation, culprit, damage) -> None:
        super().test_verify_notices(empty, job, relation, culprit, damage)


class TestModern(ClickHouseContract):
    @pytest.fixture
    def empty(self, modern):
        return modern()


class TestOld(ClickHouseContract):
    @pytest.fixture
    def empty(self, old):
        return old()


def test_few_damages_are_repeats():
    assert len(_REPEATS) == 6
    assert {relation.partition(" ")[0] for _, relation, _, _ in _REPEATS} == {"points", "pilot", "done", "steps"}


# Repeats


@pytest.mark.parametrize("job", ["certified", "interpolated"])
def test_repeated_rows_are_harmless(engine, job):
    store = engine()
    fill(store, job)
    before, counts = _all_tables(store), store.summary()
    for rows in JOBS[job][1]:
        again = {name: frame.assign(worker_id=2, time=9.0) for name, frame in rows.items()}
        store.append(again)
    store.verify()
    assert store.summary() == counts
    for name, frame in _all_tables(store).items():
        pd.testing.assert_frame_equal(_signed_alike(frame), _signed_alike(before[name]), check_exact=True, obj=name)
    rows = store.step_rows("tiles", Place(0, 0, 0))
    assert rows["id"].is_unique
    assert len(store.rows("tiles", rows["id"].to_numpy())) == len(rows)
    if job == "certified":
        assert sorted(pd.concat(store.frontier(ZoneView(1, 0, 1, 9), ["score"]))["id"]) == [2, 11, 12]
        assert store.results(active=True)["id"].tolist() == [2, 11, 12]


def test_rows_that_contradict_each_other_are_told(engine):
    store = engine()
    fill(store, "classic")
    store.append({"results": result_rows([11], [0.5])})
    with pytest.raises(CorruptStoreError, match="results has each id once: 11"):
        store.verify()


def test_empty_tables_have_types(engine):
    store, model = engine(), PandasStore()
    for each in (store, model):
        each.create(JOBS["classic"][0])
    for name in ("tiles", "results", "done", "steps", "coordinations"):
        kinds = JOBS["classic"][0].tables[name]
        frame = store.table(name)
        assert list(frame.columns) == list(kinds)
        assert all(frame[column].dtype == kind for column, kind in kinds.items() if kind is not str)
    none = np.empty(0, np.uint64)
    assert len(store.known("tiles", none)) == len(store.rows("tiles", none)) == 0
    assert store.rows("tiles", none).dtypes.tolist() == store.table("tiles").dtypes.tolist()


def test_many_ids(engine):
    """More than fit into one query."""
    store = engine()
    store.create(JOBS["classic"][0])
    ids = np.random.default_rng(1).integers(1, 2**64, 25_001, np.uint64)
    store.append({"tiles": tile_rows(ids.tolist())})
    assert set(store.known("tiles", np.append(ids, np.uint64(0)))) == set(ids)
    np.testing.assert_array_equal(store.rows("tiles", ids[::-1])["id"], ids[::-1])


# Whole jobs


@pytest.mark.parametrize("case", ["validate_z", "calibrate_z", "staged_validate_z"])
def test_a_job_gives_the_same_tables_as_in_memory(engine, case):
    expected = run_case(case)
    with run_case(case, db=engine(case)) as run:
        assert_same(run, tables(expected))
    again = Run(engine(case))
    assert_same(again, tables(expected))
    again.verify()


def test_a_job_is_continued(engine):
    run_case("validate_z", db=engine("cut"), n_steps=2).close()
    with run_case("validate_z", db=engine("cut"), n_steps=2, overrides={"n_steps": 8}) as run:
        assert_same(run, tables(run_case("validate_z")))


# Opening


def test_a_job_can_be_opened_again(engine):
    store = engine("again")
    assert not store.exists
    fill(store, "interpolated")
    assert engine("again").schema == JOBS["interpolated"][0]
    assert engine("again").summary() == store.summary()
    assert not engine("another").exists


def test_an_interrupted_start(engine):
    """Without the row of `schema` there is no job yet; the same one can be started again, another cannot."""
    store = engine("begun")
    store.create(JOBS["classic"][0])
    store._connection.command("drop table schema")
    again = engine("begun")
    assert not again.exists
    with pytest.raises(StoreError, match="interrupted start of another job"):
        again.create(JOBS["interpolated"][0])
    again.create(JOBS["classic"][0])
    assert again.exists


def test_other_databases_are_refused(engine):
    store = engine("other")
    store._connection.command("create database adagrid_other")
    store._connection.command("create table adagrid_other.people (name String) engine = MergeTree() order by name")
    with pytest.raises(NotAJobError, match="holds no adagrid job .*people"):
        engine("other")


def test_no_job_yet(engine):
    store = engine()
    with pytest.raises(NotAJobError, match="no job yet"):
        store._number("count(*) as n from tiles")


def test_closed(engine):
    store = engine()
    store.create(JOBS["classic"][0])
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.table("tiles")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "clickhouse_connect.driver.exceptions", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'adagrid\[clickhouse\]'"):
        open_store("clickhouse://localhost/job")


def test_a_url_is_all_that_a_job_needs(modern_folder, monkeypatch):
    asked, get_client = [], clickhouse_connect.get_client

    def in_process(**how):
        asked.append(how)
        return get_client(interface="chdb", path=modern_folder)

    monkeypatch.setattr(clickhouse_connect, "get_client", in_process)
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    url = "clickhouse://me@db.example.org/by_url?secure=true"
    with run_case("validate_z", db=url) as run:
        assert run.db == "clickhouse://me@db.example.org:8443/by_url?secure=true"
        assert_same(run, tables(run_case("validate_z")))
    assert asked == [
        {
            "host": "db.example.org",
            "port": 8443,
            "username": "me",
            "password": CANARY,
            "interface": "https",
            "autogenerate_session_id": False,
        }
    ]


def test_what_is_inserted_can_be_read_at_once(modern, old):
    """The server is told so where it knows the setting."""
    assert modern()._connection._client.get_client_setting("async_insert") == "0"
    assert old()._connection._client.get_client_setting("async_insert") is None
    assert modern()._connection._client.get_client_setting("select_sequential_consistency") is None


# URLs


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("clickhouse://me@db.example.org:9000/my_job", Address("db.example.org", 9000, "me", False, "my_job")),
        ("clickhouse://db.example.org/J2", Address("db.example.org", 8123, "default", False, "J2")),
        ("clickhouse://a%40b@h/j?secure=true", Address("h", 8443, "a@b", True, "j")),
        ("clickhouse://[::1]:1/j?secure=false", Address("::1", 1, "default", False, "j")),
    ],
)
def test_urls(url, read):
    assert read_url(url) == read
    assert read_url(str(read)) == read


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
def test_a_local_job_gets_a_name(host):
    first, second = (read_url(f"clickhouse://{host}") for _ in range(2))
    assert first.job_id != second.job_id
    assert read_url(str(first)) == first


@pytest.mark.parametrize("host", ["db.example.org", "10.0.0.1", "localhost.example.org", "128.0.0.1", "[fe80::1]"])
def test_a_remote_job_needs_a_name(host):
    with pytest.raises(InvalidInputError, match="needs a name.*job_id"):
        open_store(f"clickhouse://me@{host}:8123/")


@pytest.mark.parametrize("job_id", ["a-b", "a.b", "a/b", "a b", "a;drop", "a`", "a%20b", "ä", "a" * 65, "a\n"])
def test_strange_job_ids_are_refused(job_id):
    if job_id == "a\n":  # urlsplit takes line breaks away
        assert read_url(f"clickhouse://localhost/{job_id}").job_id == "a"
        return
    with pytest.raises(InvalidInputError, match="1 to 64 letters"):
        open_store(f"clickhouse://localhost/{job_id}")


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse:///job",
        "clickhouse://h:port/j",
        "clickhouse://h/j?compress=1",
        "clickhouse://h/j?secure=maybe",
        "clickhouse://h/j?secure",
        "clickhouse://[x/j",
        "clickhouse://h/j#part",
    ],
)
def test_strange_urls_are_refused(url):
    with pytest.raises(InvalidInputError, match="secure=true"):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://me:{}@db.example.org/job",
        "clickhouse://me:x/{}@db.example.org:1/job",
        "clickhouse://me:{}/x@db.example.org/job",
        "clickhouse://db.example.org/job?password={}",
        "clickhouse://db.example.org/job?user=me&password={}",
        "clickhouse://:{}@localhost",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInputError, match="ADAGRID_CLICKHOUSE_PASSWORD") as caught:
        open_store(url.format(CANARY))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


# Passwords


def test_the_password_is_nowhere(server, monkeypatch):
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    url = server.url("canary", user=GUARDED)
    with run_case("validate_z", db=ClickHouseStore(url, connect=connect_to_old_server)) as run:
        assert run.db == url
        store = ClickHouseStore(url, connect=connect_to_old_server)
        told = [frame.to_csv() for frame in _all_tables(store).values()]
        with pytest.raises(StoreError) as caught:
            store._number(f"nonsense('{CANARY}') as n")
        told += [str(caught.value), repr(vars(store)), repr(store)]
    assert len("".join(told)) > 1000
    assert CANARY not in "".join(told)


def test_a_wrong_password_is_told_at_once(server, monkeypatch):
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", f"wrong-{CANARY}")
    with pytest.raises(StoreError, match="refuses this user") as caught:
        ClickHouseStore(server.url("canary", user=GUARDED), connect=connect_to_old_server)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


# Failures of the network


@pytest.fixture
def mortal(tmp_path):
    if BINARY is None:
        pytest.skip(WITHOUT)
    server = ClickHouseServer(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_server_that_is_killed_and_comes_back(mortal):
    store = ClickHouseStore(mortal.url("job"), connect=connect_to_old_server)
    store.create(JOBS["classic"][0])
    store.append({"tiles": tile_rows([1, 2])})
    mortal.kill()
    back = threading.Timer(1.0, mortal.start)
    back.start()
    store.append_missing({"tiles": tile_rows([1, 2, 3])}, key="tiles")
    back.join()
    assert store.table("tiles")["id"].tolist() == [1, 2, 3]


def test_a_server_that_stays_away(mortal):
    store = ClickHouseStore(mortal.url("job"), patience=0.5, connect=connect_to_old_server)
    store.create(JOBS["classic"][0])
    mortal.kill()
    with pytest.raises(StoreError, match="cannot be reached.*continue the job"):
        store.append({"tiles": tile_rows([1, 2])})
    with pytest.raises(StoreError, match="cannot be reached"):
        ClickHouseStore(mortal.url("job"), patience=0.5)
    mortal.start()
    store.append({"tiles": tile_rows([1, 2])})
    assert len(store.table("tiles")) == 2


@pytest.mark.parametrize("arrived", [0, 2, 5])
def test_only_what_did_not_arrive_is_sent_again(engine, monkeypatch, arrived):
    """Of every table, with ids or without."""
    store = engine()
    store.create(JOBS["classic"][0])
    client = store._connection._client
    insert, failed = client.insert_df, set()

    def failing(name, rows, **how):
        if name in failed:
            return insert(name, rows, **how)
        failed.add(name)
        insert(name, rows[:arrived], **how)
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(client, "insert_df", failing)
    messages = {"worker_id": 1, "time": 0.5, "level": "INFO", "logger": "x", "message": ["a", "b 'c'", "d", "e", "f"]}
    report = {"kind": "step", "packet_id": 0, "content": ["a", "b", "c", "d", "e"]}
    steps = pd.concat([step_row(Place(0, 0, step), 1, 0) for step in range(5)])
    store.append(
        {
            "tiles": tile_rows([2**64 - 1, 2, 3, 4, 5]),
            "steps": steps,
            "reports": steps.assign(**report).drop(columns=["n_tiles", "n_done"]),
            "logs": pd.DataFrame(messages),
        }
    )
    assert failed == {"tiles", "steps", "reports", "logs"}
    for name in failed:
        assert store._number(f"count(*) as n from {name}") == len(store.table(name)) == 5


def _all_tables(store):
    return {name: store.table(name) for name in store.schema.tables}


def _signed_alike(frame):
    return frame.drop(columns=[name for name in INCIDENTAL if name in frame])
