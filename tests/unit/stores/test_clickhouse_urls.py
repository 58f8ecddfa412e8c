"""Which URLs of jobs are understood, and that no password in one is repeated."""

from __future__ import annotations

import sys
import traceback

import pytest

from adagrid.errors import InvalidInputError, MissingExtraError
from adagrid.stores import open_store
from adagrid.stores._clickhouse_url import Address, read_url
from tests.support.clickhouse_server import CANARY


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "clickhouse_connect.driver.exceptions", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'adagrid\[clickhouse\]'"):
        open_store("clickhouse://localhost/job")


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
