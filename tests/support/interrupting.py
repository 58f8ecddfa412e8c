"""Jobs that stop at any of their writes, and end as if they had not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import adagrid as ada
from adagrid.jobs.transfer import transfer
from adagrid.stores.pandas import PandasStore
from tests.support.jobcases import assert_same, run_case, tables


class Stop(Exception):
    """Raised in place of a kill."""


def interrupting(store, operation: int):
    """Make a store fail before or after its n-th append."""
    original, count = store._append, 0

    def append(frames):
        nonlocal count
        count += 1
        if count == operation // 2 and operation % 2 == 0:
            raise Stop
        original(frames)
        if count == operation // 2 and operation % 2 == 1:
            raise Stop

    store._append = append
    return lambda: setattr(store, "_append", original)


def by_turns() -> Iterator[int]:
    """Yield operations at which to stop, so that every write is the last in one of them.

    Nothing is written between the moment after one write and the moment before the next: of these two, one by turns.
    """
    return (operation for operation in itertools.count(2) if operation % 4 >= 2)


def assert_stopped_jobs_complete(case: str, operations: Iterable[int]) -> None:
    """Whichever write is the last, running again gives the same tables."""
    settings = {"n_steps": 4, "packet_size": 5, "backend": ada.LocalBackend(coordinate_every=2)}
    answer = tables(run_case(case, **settings))
    for operation in operations:
        store = PandasStore()
        restore = interrupting(store, operation)
        try:
            run_case(case, db=store, **settings)
        except Stop:
            pass
        else:
            break
        finally:
            restore()
        if store.exists:
            store.verify()
        assert_same(run_case(case, db=store, **settings), answer)
    assert operation > 40


def assert_stopped_certificates_complete(case: str, operations: Iterable[int]) -> None:
    """Whichever write of a certificate is the last, certifying again gives the same tables."""
    expected = tables(run_case(case, n_steps=2).certify())
    searched = PandasStore()
    run_case(case, n_steps=2, db=searched, packet_size=5)
    for operation in operations:
        store = PandasStore()
        transfer(searched, store)
        run = run_case(case, n_steps=2, db=store, packet_size=5)
        restore = interrupting(store, operation)
        try:
            run.certify()
        except Stop:
            restore()
        else:
            break
        store.verify()
        again = run_case(case, n_steps=2, db=store, packet_size=5)
        assert_same(again.certify(), expected)
    assert operation >= 8
