"""A copy of a job is the job, from any store to any other."""

from __future__ import annotations

import pandas as pd
import pytest

from adagrid.copies.transfer import transfer
from adagrid.errors import StoreError
from adagrid.results.run import Run
from adagrid.stores import Store
from adagrid.testing import PandasStore

IN_PROCESS = ("pandas", "memory", "file", "modern")


def assert_equal(copy, original):
    for name in original.schema.tables:
        if name != "schema":
            pd.testing.assert_frame_equal(copy.table(name), original.table(name), check_exact=True, obj=name)


def assert_a_copy_is_the_job(job: Store, one: Store, other: Store) -> None:
    """To the last bit, times and worker ids, reports and messages included."""
    copied = transfer(one, other)
    assert_equal(other, job)
    assert copied == {name: 0 if name == "schema" else len(job.table(name)) for name in job.schema.tables}
    Run(other).verify()
    assert sum(transfer(one, other).values()) == 0


def assert_a_cut_copy_completes(job: Store, target: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever insert is cut in its middle, the next try completes it; what arrived twice counts once."""
    number = 0
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
