"""Jobs on a ClickHouse server keep the contract of stores, whatever the network does, and tell no password."""

from __future__ import annotations

import socket
import threading
import traceback

import pytest

from adagrid._secrets import PASSWORD
from adagrid.errors import StoreError
from adagrid.stores import _clickhouse_connection, open_store
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.testing.stores import JOBS, tile_rows
from tests.support.clickhouse_laws import ClickHouseContract, all_tables
from tests.support.clickhouse_server import BINARY, CANARY, GUARDED, WITHOUT, ClickHouseServer, connect_to_old_server
from tests.support.jobcases import run_case


class TestOld(ClickHouseContract):
    @pytest.fixture
    def engine(self, old):
        return old


def test_what_is_inserted_can_be_read_at_once(modern, old):
    """The server is told so where it knows the setting."""
    assert modern()._connection._client.get_client_setting("async_insert") == "0"
    assert old()._connection._client.get_client_setting("async_insert") is None
    assert modern()._connection._client.get_client_setting("select_sequential_consistency") is None


# Passwords


@pytest.mark.sample
def test_the_password_is_nowhere(server, monkeypatch):
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    url = server.url("canary", user=GUARDED)
    with run_case("validate_z", db=ClickHouseStore(url, connect=connect_to_old_server)) as run:
        assert run.db == url
        store = ClickHouseStore(url, connect=connect_to_old_server)
        told = [frame.to_csv() for frame in all_tables(store).values()]
        with pytest.raises(StoreError) as caught:
            store._number(f"nonsense('{CANARY}') as n")
        told += [str(caught.value), repr(vars(store)), repr(store)]
    assert len("".join(told)) > 1000
    assert CANARY not in "".join(told)


@pytest.mark.sample
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


@pytest.mark.sample
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


# What users meet first


def test_a_server_that_is_too_old_is_told(server):
    """The one that Debian ships; tests ask it in words of its time."""
    with pytest.raises(StoreError, match=r"too old for the client library. Use ClickHouse 25\.3 or later"):
        open_store(server.url("old"))


def test_a_password_that_is_missing(server, monkeypatch):
    monkeypatch.delenv(PASSWORD, raising=False)
    with pytest.raises(StoreError, match=f"refuses this user.*{PASSWORD}"):
        open_store(server.url("job", GUARDED))


@pytest.mark.smoke
def test_addresses_that_do_not_answer(monkeypatch):
    """A port that nobody listens to, one that accepts and stays silent, and a name that nobody has."""
    monkeypatch.setattr(_clickhouse_connection, "_PATIENCE_AT_FIRST", 0.1)
    monkeypatch.setattr(_clickhouse_connection, "_ANSWER_AT_FIRST", 1)
    monkeypatch.setenv(PASSWORD, CANARY)
    with socket.socket() as silent, socket.socket() as closed:
        for each in (silent, closed):
            each.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in (silent, closed)]
        for host in (*hosts, "no-such-host.invalid:8123"):
            with pytest.raises(StoreError, match=f"{host}/job cannot be reached. Check the host") as told:
                open_store(f"clickhouse://me@{host}/job")
            assert CANARY not in str(told.value)
