"""Jobs that stop at any of their writes, and end as if they had not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from itertools import pairwise

import pytest

import adagrid as ada
from adagrid.copies.transfer import transfer
from adagrid.testing.pandas_store import PandasStore
from tests.support.jobcases import assert_same, run_case, tables

# The tables of every write of a job, in order.
Writes = Sequence[tuple[str, ...]]
# Chooses the operations at which to stop: before the n-th write is 2n, after it is 2n + 1.
Choice = Callable[[Writes], Iterable[int]]


class Stop(Exception):
    """Raised in place of a kill."""


@contextmanager
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
    try:
        yield
    finally:
        store._append = original


@contextmanager
def recording(store):
    """Collect the tables of every write."""
    original, writes = store._append, []

    def append(frames):
        writes.append(tuple(sorted(frames)))
        original(frames)

    store._append = append
    try:
        yield writes
    finally:
        store._append = original


def every_operation(writes: Writes) -> list[int]:
    """Choose the moments before and after every write."""
    return list(range(2, 2 * len(writes) + 2))


def one_of_each_kind(writes: Writes) -> list[int]:
    """Choose one moment between every two kinds of writes that follow each other, the middle one.

    Nothing is written between the moment after one write and the moment before the next: of these two, one by turns.
    Messages and reports tell, and change nothing.
    """
    numbers = [number for number, names in enumerate(writes, 1) if set(names) - {"logs", "reports"}]
    kinds: dict[object, list[int]] = {("start", writes[0]): [0]}
    for first, second in pairwise(numbers):
        kinds.setdefault((writes[first - 1], writes[second - 1]), []).append(first)
    kinds["end"] = numbers[-1:]
    middle = [of_a_kind[len(of_a_kind) // 2] for of_a_kind in kinds.values()]
    return [2 * number + 1 + (i % 2 or number == 0) for i, number in enumerate(middle)]


def assert_stopped_jobs_complete(case: str, choice: Choice) -> None:
    """Whichever write is the last, running again gives the same tables."""
    settings = {"packet_size": 5, "backend": ada.LocalBackend(coordinate_every=2)}
    store = PandasStore()
    with recording(store) as writes:
        answer = tables(run_case(case, db=store, **settings))
    for operation in choice(writes):
        store = PandasStore()
        with interrupting(store, operation), pytest.raises(Stop):
            run_case(case, db=store, **settings)
        if store.exists:
            store.verify()
        assert_same(run_case(case, db=store, **settings), answer)


def assert_stopped_certificates_complete(case: str, choice: Choice) -> None:
    """Whichever write of a certificate is the last, certifying again gives the same tables."""
    settings = {"n_steps": 2, "packet_size": 5}
    searched, store = PandasStore(), PandasStore()
    run_case(case, db=searched, **settings)
    transfer(searched, store)
    run = run_case(case, db=store, **settings)
    with recording(store) as writes:
        answer = tables(run.certify())
    for operation in choice(writes):
        store = PandasStore()
        transfer(searched, store)
        run = run_case(case, db=store, **settings)
        with interrupting(store, operation), pytest.raises(Stop):
            run.certify()
        store.verify()
        assert_same(run_case(case, db=store, **settings).certify(), answer)
