"""Copies of jobs are sound whenever they are taken and wherever they are cut: the laws, for tests and studies."""

from __future__ import annotations

import random
from functools import cache

import pytest

import adagrid as ada
import adagrid.copies.transfer
from adagrid.copies.transfer import transfer
from adagrid.errors import NotAJobError
from adagrid.stores import Store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.tables import key_of
from adagrid.testing.pandas_store import PandasStore
from tests.support.copies import assert_equal
from tests.support.interrupting import Choice, Stop, interrupting, recording
from tests.support.jobcases import assert_same, run_case, tables

KINDS = ("validate_z", "staged_validate_z")


def begun(case: str, store: Store, **changes) -> ada.Run:
    """Run two steps of a job in two zones."""
    backend = ada.LocalBackend(n_zones=2, coordinate_every=2)
    return run_case(case, db=store, backend=backend, packet_size=5, n_steps=2, **changes)


def continued(case: str, store: Store, **changes) -> ada.Run:
    """Run it to its fourth step, the last two with tighter targets."""
    if not store.exists or len(store.table("config")) < 2:
        begun(case, store)
    targets = {"max_target": 0.0015, "global_target": 0.004}
    return begun(case, store, overrides={"n_steps": 4, **targets}, **changes)


@cache
def _job(case: str):
    """Return a job that was continued, its tables, and what it appends, in order."""
    appends, store = [], PandasStore()
    append = store._append
    store._append = lambda frames: (appends.append(frames), append(frames))
    answer = tables(continued(case, store))
    store._append = append
    return store, answer, appends


def _has_job(store: Store) -> bool:
    return store.exists and len(store.table("config")) > 0


def assert_cut_copies_complete(case: str, choice: Choice) -> None:
    """A copy that was cut verifies, completes when it is repeated, and can be continued as the job itself."""
    job, target = PandasStore(), PandasStore()
    transfer(_job(case)[0], job)
    continued(case, job).certify()
    with pytest.MonkeyPatch.context() as patch:
        # Parts of a few rows, so that every table of these small jobs is copied in several.
        patch.setattr(adagrid.copies.transfer, "_AT_ONCE", 60)
        with recording(target) as writes:
            transfer(job, target)
        for operation in choice(writes):
            _assert_cut_copy_completes(case, job, operation)


def _assert_cut_copy_completes(case: str, job: Store, operation: int) -> None:
    target = PandasStore()
    with interrupting(target, operation), pytest.raises(Stop):
        transfer(job, target)
    if _has_job(target):
        target.verify()
        if operation % 3 == 0 and "certify" not in target.table("coordinations")["kind"].tolist():
            run = continued(case, target.reader())
            run.verify()
            assert_same(run, _job(case)[1])
    transfer(job, target)
    assert_equal(target, job)


def assert_every_moment_can_be_copied(case: str, choice: Choice) -> None:
    """Whichever write of a job was its last, a copy is the same, and gives the same answer when it is continued."""
    _, answer, appends = _job(case)
    for operation in choice([tuple(sorted(frames)) for frames in appends]):
        store, target = PandasStore(), DuckDBStore()
        with interrupting(store, operation), pytest.raises(Stop):
            continued(case, store)
        if not _has_job(store):
            with pytest.raises(NotAJobError, match="no job yet"):
                transfer(store, target)
            continue
        transfer(store, target)
        assert_equal(target, store)
        target.verify()
        assert_same(continued(case, target), answer)
        transfer(target, store)
        assert_equal(store, target)


class _Moving:
    """A store to which, between any two readings, a job may append more."""

    def __init__(self, appends, schema, rng):
        self._store, self._appends, self._rng = PandasStore(), list(appends), rng
        self._store.create(schema)

    def move(self, most):
        for _ in range(self._rng.randint(1, most)):
            if self._appends:
                self._store.append(self._appends.pop(0))

    def __getattr__(self, name):
        if name in ("between", "table", "known") and self._rng.random() < (0.5 if name == "table" else 0.15):
            self.move(5)
        return getattr(self._store, name)


def _keys(name, frame):
    return {(name, *key) for key in frame[list(key_of(name))].itertuples(index=False, name=None)}


def _assert_stands_as_a_job(target, recorded):
    """Where there is a commit record, there is all that was written before it: in its zone, or in all of them."""
    there = set().union(*(_keys(name, target.table(name)) for name in target.schema.tables))
    before, of_zone = set(), {}
    for frames in recorded:
        for name in ("config", "coordinations", "steps"):
            record = frames.get(name)
            if record is not None and _keys(name, record) <= there:
                needed = of_zone.get(record["zone_id"].iloc[0], set()) if name == "steps" else before
                assert needed <= there, (name, record)
        for name in set(frames) - {"reports", "logs"}:
            before |= _keys(name, frames[name])
            if "zone_id" in frames[name]:
                for zone, rows in frames[name].groupby("zone_id"):
                    of_zone.setdefault(zone, set()).update(_keys(name, rows))


def assert_a_moving_job_can_be_copied(case: str, seed: int) -> None:
    """Whatever is added between any two looks, the copy stands as a job would, and so does every later one."""
    store, answer, appends = _job(case)
    source, target = _Moving(appends, store.schema, random.Random(seed)), PandasStore()
    while not len(source._store.table("config")):
        source.move(1)
    while source._appends:
        transfer(source, target)
        target.verify()
        _assert_stands_as_a_job(target, appends)
        source.move(4)
    if seed == 0:
        run = continued(case, target.reader())
        run.verify()
        assert_same(run, answer)
    transfer(source, target)
    assert_equal(target, store)
