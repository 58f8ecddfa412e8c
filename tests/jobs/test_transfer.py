"""Copies of jobs are sound whenever they are taken and wherever they are cut, and cost only what is new.

Some moments of different kinds; studies/reliability has all.
"""

from __future__ import annotations

import pandas as pd
import pytest

import adagrid as ada
from adagrid.copies.transfer import transfer
from adagrid.errors import InvalidInputError, NotAJobError
from adagrid.testing.pandas_store import PandasStore
from tests.support.copies import assert_equal
from tests.support.interrupting import one_of_each_kind
from tests.support.jobcases import run_case
from tests.support.transfers import (
    KINDS,
    assert_a_moving_job_can_be_copied,
    assert_cut_copies_complete,
    assert_every_moment_can_be_copied,
    begun,
    continued,
)


@pytest.fixture(params=KINDS)
def case(request):
    return request.param


def test_cut_between_appends(case):
    assert_cut_copies_complete(case, lambda writes: one_of_each_kind(writes)[::3])


def test_moments_of_a_job(case):
    assert_every_moment_can_be_copied(case, lambda writes: one_of_each_kind(writes)[2::4])


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
            place for place in finished if not case.startswith("staged") or place[0] < report.step.coordination_id
        }

    begun(case, store, callback=copy)
    continued(case, store, callback=copy)
    total += sum(transfer(store, target).values())
    assert_equal(target, store)
    assert total == sum(len(store.table(name)) for name in store.schema.tables)
    assert len(finished) >= 4


@pytest.mark.parametrize("seed", range(4))
def test_of_a_job_that_goes_on_meanwhile(case, seed):
    assert_a_moving_job_can_be_copied(case, seed)


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
    run_case("validate_z", db=store, n_steps=1)
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
