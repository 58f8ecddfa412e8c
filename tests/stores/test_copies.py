"""A copy of a job is the job, from any store to any other."""

from __future__ import annotations

import pandas as pd
import pytest
from jobcases import run_case

import adagrid as ada
from adagrid.errors import StoreError
from adagrid.jobs.run import Run
from adagrid.jobs.transfer import transfer
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.pandas import PandasStore

STORES = ("pandas", "memory", "file", "modern", "old")


@pytest.fixture(scope="module", params=["validate_z", "staged_validate_z"])
def job(request):
    """A whole job; the classic one is certified."""
    run = run_case(request.param, db="pandas", n_steps=4, backend=ada.LocalBackend(n_zones=2, coordinate_every=2))
    return run.certify()._store


@pytest.fixture
def make(request, tmp_path):
    """Makes an empty store of a kind."""
    opened = []

    def store(kind):
        if kind in ("modern", "old"):
            return request.getfixturevalue(kind)()
        made = (
            PandasStore()
            if kind == "pandas"
            else DuckDBStore(tmp_path / f"{len(opened)}" if kind == "file" else ":memory:")
        )
        opened.append(made)
        return made

    yield store
    for each in opened:
        each.close()


def assert_equal(copy, original):
    for name in original.schema.tables:
        if name != "schema":
            pd.testing.assert_frame_equal(copy.table(name), original.table(name), check_exact=True, obj=name)


@pytest.mark.parametrize("first", STORES)
def test_a_copy_is_the_job(job, make, first):
    """To the last bit, times and worker ids, reports and messages included, from any store to any other."""
    source = make(first)
    copies = [(job, source), *((source, make(second)) for second in STORES if second != first)]
    for one, other in copies:
        copied = transfer(one, other)
        assert_equal(other, job)
        assert copied == {name: 0 if name == "schema" else len(job.table(name)) for name in job.schema.tables}
        Run(other).verify()
        assert sum(transfer(one, other).values()) == 0


@pytest.mark.parametrize("kind", ["modern", "old"])
def test_a_copy_that_a_lost_connection_cut(job, make, kind, monkeypatch):
    """Whichever insert is cut in its middle, the next try completes it; what arrived twice counts once."""
    target, number = make(kind), 0
    client = target._connection._client
    insert = client.insert_df

    def failing(name, rows, **how):
        nonlocal number
        number += 1
        insert(name, rows[: len(rows) // 2] if number % 3 == 0 else rows, **how)
        if number % 3 == 0:
            raise StoreError("the connection was lost")

    monkeypatch.setattr(client, "insert_df", failing)
    for _ in range(100):
        try:
            transfer(job, target)
            break
        except StoreError:
            continue
    monkeypatch.undo()
    assert number > 20
    assert_equal(target, job)
    last = {name: target.table(name)[-1:] for name in target.schema.tables if name != "schema"}
    target.append(last)
    assert sum(transfer(job, target).values()) == 0
    back = PandasStore()
    transfer(target, back)
    assert_equal(back, job)
