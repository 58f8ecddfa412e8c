"""Copies of jobs are sound whenever they are taken and wherever they are cut, and cost only what is new."""

from __future__ import annotations

import random

import pandas as pd
import pytest

import adagrid as ada
import adagrid.jobs.transfer
from adagrid.errors import InvalidInputError, NotAJobError
from adagrid.jobs.transfer import transfer
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.pandas import PandasStore
from adagrid.stores.schema import KEYS
from tests.support.interrupting import Stop, interrupting
from tests.support.jobcases import assert_same, run_case, tables

KINDS = ["validate_z", "staged_validate_z"]


def assert_equal(copy, original):
    for name in original.schema.tables:
        if name != "schema":
            pd.testing.assert_frame_equal(copy.table(name), original.table(name), check_exact=True, obj=name)


def begun(case, store, **changes):
    """Run two steps of a job in two zones."""
    backend = ada.LocalBackend(n_zones=2, coordinate_every=2)
    return run_case(case, db=store, backend=backend, packet_size=5, n_steps=2, **changes)


def continued(case, store, **changes):
    """Run it to its fourth step, the last two with tighter targets."""
    if not store.exists or len(store.table("config")) < 2:
        begun(case, store)
    targets = {"max_target": 0.0015, "global_target": 0.004}
    return begun(case, store, overrides={"n_steps": 4, **targets}, **changes)


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    return request.param


@pytest.fixture
def _bit_by_bit(monkeypatch):
    """Parts of a few rows, so that every table of these small jobs is copied in several."""
    monkeypatch.setattr(adagrid.jobs.transfer, "_AT_ONCE", 60)


@pytest.fixture(scope="module")
def answer(case):
    return tables(continued(case, PandasStore()))


@pytest.fixture(scope="module")
def job(case):
    """A job that was continued, and certified."""
    return continued(case, PandasStore()).certify()._store


@pytest.mark.usefixtures("_bit_by_bit")
def test_cut_before_and_after_every_append(case, job, answer):
    """The copy verifies, completes when it is repeated, and can be continued as the job itself."""
    operation = 2
    while True:
        target = PandasStore()
        restore = interrupting(target, operation)
        try:
            transfer(job, target)
        except Stop:
            operation += 3
        else:
            break
        finally:
            restore()
        if target.exists and len(target.table("config")):  # there is a job
            target.verify()
            if operation % 5 == 0 and "certify" not in target.table("coordinations")["kind"].tolist():
                run = continued(case, target.reader())
                run.verify()
                assert_same(run, answer)
        transfer(job, target)
        assert_equal(target, job)
    assert operation > 30


def test_every_moment_of_a_job(case, answer):
    """Whichever write of the job was its last, a copy is the same, and gives the same answer when it is continued."""
    for operation in range(3, 1000, 14):
        store, target = PandasStore(), DuckDBStore()
        restore = interrupting(store, operation)
        try:
            continued(case, store)
        except Stop:
            restore()
        else:
            break
        if not store.exists or not len(store.table("config")):
            with pytest.raises(NotAJobError, match="no job yet"):
                transfer(store, target)
            continue
        transfer(store, target)
        assert_equal(target, store)
        target.verify()
        assert_same(continued(case, target), answer)
        transfer(target, store)
        assert_equal(store, target)
    assert operation > 30


class Watched:
    """A store that tells what is read of it."""

    def __init__(self, store):
        self._store, self.places = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def between(self, name, bounds, columns=None):
        if columns is None and "step_id" in bounds:
            self.places.append(tuple(low for column, (low, _) in bounds.items() if column.endswith("_id")))
        return self._store.between(name, bounds, columns)


def test_while_a_job_runs(case):
    """After every step the copy is the job, and what it got costs nothing again."""
    store, target, finished, total = PandasStore(), PandasStore(), set(), 0

    def copy(report):
        nonlocal finished, total
        watched = Watched(store)
        total += sum(transfer(watched, target).values())
        assert_equal(target, store)
        target.verify()
        assert not finished & set(watched.places)
        finished = set(
            target.table("steps")[["coordination_id", "zone_id", "step_id"]].itertuples(index=False, name=None)
        )
        # the cells of an interpolated stage are certified after its steps
        finished = {
            place for place in finished if not case.startswith("staged") or place[0] < report.place.coordination_id
        }

    begun(case, store, callback=copy)
    continued(case, store, callback=copy)
    total += sum(transfer(store, target).values())
    assert_equal(target, store)
    assert total == sum(len(store.table(name)) for name in store.schema.tables)
    assert len(finished) >= 4


class Moving:
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


def keys(name, frame):
    return {(name, *key) for key in frame[list(KEYS[name])].itertuples(index=False, name=None)}


def assert_stands_as_a_job(target, recorded):
    """Where there is a commit record, there is all that was written before it: in its zone, or in all of them."""
    there = set().union(*(keys(name, target.table(name)) for name in target.schema.tables))
    before, of_zone = set(), {}
    for frames in recorded:
        for name in ("config", "coordinations", "steps"):
            record = frames.get(name)
            if record is not None and keys(name, record) <= there:
                needed = of_zone.get(record["zone_id"].iloc[0], set()) if name == "steps" else before
                assert needed <= there, (name, record)
        for name in set(frames) - {"reports", "logs"}:
            before |= keys(name, frames[name])
            if "zone_id" in frames[name]:
                for zone, rows in frames[name].groupby("zone_id"):
                    of_zone.setdefault(zone, set()).update(keys(name, rows))


@pytest.fixture(scope="module")
def recorded(case):
    """What a job appends, in order."""
    appends, store = [], PandasStore()
    append = store._append
    store._append = lambda frames: (appends.append(frames), append(frames))
    continued(case, store)
    return appends, store


@pytest.mark.parametrize("seed", range(20))
def test_of_a_job_that_goes_on_meanwhile(case, recorded, answer, seed):
    """Whatever is added between any two looks, the copy stands as a job would, and so does every later one."""
    appends, store = recorded
    source, target = Moving(appends, store.schema, random.Random(seed)), PandasStore()
    while not len(source._store.table("config")):
        source.move(1)
    while source._appends:
        transfer(source, target)
        target.verify()
        assert_stands_as_a_job(target, appends)
        source.move(4)
    if seed == 0:
        run = continued(case, target.reader())
        run.verify()
        assert_same(run, answer)
    transfer(source, target)
    assert_equal(target, store)


def test_another_job_is_refused(case):
    store, target = PandasStore(), PandasStore()
    for each in (store, target):
        begun(case, each)
    before = {name: target.table(name) for name in target.schema.tables}
    with pytest.raises(InvalidInputError, match="holds another job"):
        transfer(store, target)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(target.table(name), frame)


def test_the_interrupted_start_of_another_job_is_refused():
    store, target = PandasStore(), PandasStore()
    run_case("validate_z", db=store)
    target.create(store.schema)
    target.append({"tiles": store.table("tiles")[:1].assign(id=5)})
    with pytest.raises(InvalidInputError, match="holds another job"):
        transfer(store, target)


def test_a_copy_that_went_on_by_itself_is_refused(case):
    store, target = PandasStore(), PandasStore()
    begun(case, store)
    transfer(store, target)
    continued(case, target)
    with pytest.raises(InvalidInputError, match="went on by itself: its table config"):
        transfer(store, target)
    transfer(target, store)  # the other direction
    assert_equal(store, target)


def test_there_must_be_a_job():
    with pytest.raises(NotAJobError, match="no job yet"):
        ada.copy_job(PandasStore(), PandasStore())
