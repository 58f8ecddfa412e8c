"""A killed job is continued, and a broken resume is noticed; studies/reliability kills at every moment."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from adagrid.errors import StoreError
from adagrid.stores import Store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.store import StepKey
from adagrid.testing.stores import fill, tile_rows
from tests.support.faults.disasters import second_is_refused
from tests.support.faults.jobs import KILLED, DuckDBFiles
from tests.support.faults.points import Trap
from tests.support.faults.runs import Workers, complete, in_child, killed_and_continued, run_into, uninterrupted

SHORT = KILLED[0]


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    """One process that kills and continues jobs: starting others would take longer than what they do."""
    with Workers(tmp_path_factory.mktemp("compiled"), count=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def whole(killer, tmp_path_factory):
    """The file with the answer of a job that nobody killed, and its moments."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "answer", killer.run(uninterrupted, DuckDBFiles(folder), SHORT, folder / "answer")


def test_killed_once_at_each_kind_of_moment(killer, tmp_path):
    """Before and after every kind of statement, and before and after a packet."""
    moments, outcomes = killer.kill_at_each_kind(DuckDBFiles(tmp_path), SHORT, tmp_path)
    tried = {(moments[outcome.at].when, moments[outcome.at].kind) for outcome in outcomes}
    assert {(when, kind) for when in ("before", "after") for kind in ("insert", "commit", "packet")} <= tried
    assert all(outcome.died for outcome in outcomes)
    assert not [outcome.error for outcome in outcomes if outcome.error]


def _continued_carelessly(engine, job, at, file):
    """Kill a job, and continue it without asking which rows are missing; return what goes wrong."""
    assert in_child(lambda: run_into(Trap([at]), engine, job, "careless")).killed
    careless = lambda store, frames, *, key: store.append(frames)
    with mock.patch.object(Store, "append_missing", careless):
        return in_child(lambda: complete(engine, job, "careless", file)).error


def test_a_broken_resume_is_noticed(killer, whole, tmp_path):
    engine, (file, moments) = DuckDBFiles(tmp_path), whole
    last = max(number for number, moment in enumerate(moments) if moment.what.startswith("insert into done"))
    assert str(moments[last + 2]) == "after 'commit'"
    assert "done has each id once" in killer.run(_continued_carelessly, engine, SHORT, last + 3, file)
    assert not killer.run(killed_and_continued, engine, SHORT, last + 3, file).error


def test_a_moment_that_is_never_reached_is_noticed(killer, whole, tmp_path):
    engine, (file, moments) = DuckDBFiles(tmp_path), whole
    outcome = killer.run(killed_and_continued, engine, SHORT, len(moments), file)
    assert not outcome.died
    assert "never reached" in outcome.error


@pytest.mark.parametrize("size", [4096, 8192])
def test_a_file_whose_creation_was_killed_is_explained(tmp_path, size):
    path = tmp_path / "job.duckdb"
    DuckDBStore(path).close()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match="smaller than 12288 bytes.*delete it"):
        DuckDBStore(path)


def test_a_second_process_is_refused(killer, whole, tmp_path):
    killer.run(second_is_refused, DuckDBFiles(tmp_path), SHORT, whole[0], 2)


@pytest.mark.parametrize("arrives", [True, False])
def test_what_another_process_writes_meanwhile_is_no_contradiction(arrives, monkeypatch):
    """`verify` looks again if rows arrived while it looked, and only then."""
    store, looks = DuckDBStore(), []
    fill(store, "classic")
    store.append({"tiles": tile_rows([111], StepKey(0, 0, 2), parent=11, volume=0.5)})  # a step has begun
    look = store._broken

    def broken(queries, repeated):
        looks.append(queries)
        if len(looks) < 3:
            return {"a relation": np.array([1], np.uint64)}
        return look(queries, repeated)

    monkeypatch.setattr(store, "_broken", broken)
    monkeypatch.setattr(store, "_version", lambda: len(looks) if arrives else 0)
    if arrives:
        store.verify()
        assert len(looks) == 4
    else:
        with pytest.raises(StoreError, match="a relation"):
            store.verify()
        assert len(looks) == 1
