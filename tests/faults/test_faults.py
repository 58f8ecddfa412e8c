"""A sample of what `make reliability` does at every point, and that it would notice."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from fault_disasters import (
    damaged_logs,
    killed_with_log,
    may_mount,
    on_small_disk,
    second_is_refused,
    served_by_a_mortal,
    torn_log,
    twice_at_once,
    without_room,
)
from fault_jobs import KILLED, LONG, ClickHouseDatabases, DuckDBFiles
from fault_points import Trap
from fault_runs import Workers, complete, in_child, killed_and_continued, run_into, uninterrupted

from adagrid.errors import StoreError
from adagrid.stores import Place, Store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing.stores import fill, tile_rows
from thorough import thorough

SHORT = KILLED[0]
# Every how many moments a job is killed. On ClickHouse each takes about twice as long.
EVERY = {"DuckDB": 31, "ClickHouse": 41}


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    with Workers(tmp_path_factory.mktemp("compiled")) as workers:
        yield workers


@pytest.fixture(scope="module")
def databases(server):
    return ClickHouseDatabases(server.port)


@pytest.fixture(params=["DuckDB", "ClickHouse"])
def engine(request, tmp_path):
    return DuckDBFiles(tmp_path) if request.param == "DuckDB" else request.getfixturevalue("databases")


def _survived(outcomes):
    found = list(outcomes)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


# Kills


@pytest.mark.slow
@pytest.mark.parametrize("job", KILLED)
def test_killed_at_some_moments(job, engine, workers, tmp_path):
    moments, outcomes = workers.kill_at(engine, job, tmp_path, every=EVERY[engine.name], first=11 * KILLED.index(job))
    assert len(moments) > 150
    assert {"before", "after"} <= {moment.when for moment in moments}
    assert len(outcomes) >= 4
    assert all(outcome.died for outcome in outcomes)
    assert not [outcome.error for outcome in outcomes if outcome.error]


def _continued_carelessly(engine, job, at, file):
    """Kill a job, and continue it without asking which rows are missing; return what goes wrong."""
    assert in_child(lambda: run_into(Trap(at), engine, job, "careless")).killed
    careless = lambda store, frames, *, key: store.append(frames)
    with mock.patch.object(Store, "append_missing", careless):
        return in_child(lambda: complete(engine, job, "careless", file)).error


@pytest.mark.slow
def test_a_broken_resume_is_noticed(workers, tmp_path):
    engine, file = DuckDBFiles(tmp_path), tmp_path / "answer"
    moments = workers.run(uninterrupted, engine, SHORT, file)
    last = max(number for number, moment in enumerate(moments) if moment.what.startswith("insert into done"))
    assert str(moments[last + 2]) == "after 'commit'"
    assert "done has each id once" in workers.run(_continued_carelessly, engine, SHORT, last + 3, file)
    assert not workers.run(killed_and_continued, engine, SHORT, last + 3, file).error


def test_a_moment_that_is_never_reached_is_noticed(workers, tmp_path):
    engine, file = DuckDBFiles(tmp_path), tmp_path / "answer"
    moments = workers.run(uninterrupted, engine, SHORT, file)
    outcome = workers.run(killed_and_continued, engine, SHORT, len(moments), file)
    assert not outcome.died
    assert "never reached" in outcome.error


# Damaged files


@pytest.mark.slow
def test_a_damaged_write_ahead_log_is_recovered_or_refused(workers, tmp_path):
    file = tmp_path / "answer"
    log = workers.run(killed_with_log, tmp_path, SHORT, file)
    damages = list(damaged_logs(log, 3))
    variants = [(tmp_path, SHORT, damaged, file) for _, damaged in damages]
    found = _survived(workers.run_all(torn_log, variants))
    kinds = {(what, became) for (what, _), became in zip(damages, found, strict=True)}
    assert ("cut off", "recovered") in kinds
    assert ("a byte flipped", "refused") in kinds


@pytest.mark.parametrize("size", [4096, 8192])
def test_a_file_whose_creation_was_killed_is_explained(tmp_path, size):
    path = tmp_path / "job.duckdb"
    DuckDBStore(path).close()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match="smaller than 12288 bytes.*delete it"):
        DuckDBStore(path)


# No room


@pytest.mark.slow
def test_where_files_cannot_grow(workers, tmp_path):
    file = tmp_path / "answer"
    workers.run(uninterrupted, DuckDBFiles(tmp_path), SHORT, file)
    assert all(_survived(workers.run_all(without_room, [(tmp_path, SHORT, size, file) for size in (2, 4, 8)])))


@pytest.mark.slow
def test_a_full_disk(workers, tmp_path):
    if not workers.run(may_mount, tmp_path / "disk"):
        pytest.skip("only who may mount disks can fill a small one")
    file = tmp_path / "answer"
    workers.run(uninterrupted, DuckDBFiles(tmp_path), SHORT, file)
    assert all(_survived(workers.run_all(on_small_disk, [(tmp_path, SHORT, size, file) for size in (8, 20)])))


# Two processes


@pytest.mark.slow
def test_a_second_process_is_refused(workers, tmp_path):
    engine, file = DuckDBFiles(tmp_path), tmp_path / "answer"
    workers.run(uninterrupted, engine, SHORT, file)
    workers.run(second_is_refused, engine, SHORT, file, 2)


@pytest.mark.slow
@pytest.mark.parametrize("job", [*KILLED[1:3], *(pytest.param(job, marks=thorough) for job in (KILLED[0], KILLED[3]))])
def test_two_processes_at_once(job, databases, workers, tmp_path):
    file = tmp_path / "answer"
    moments = workers.run(uninterrupted, databases, job, file)
    starts = [None, len(moments) // 3]
    _survived(workers.run_all(twice_at_once, [(databases, job, i, at, file) for i, at in enumerate(starts)]))


@pytest.mark.parametrize("arrives", [True, False])
def test_what_another_process_writes_meanwhile_is_no_contradiction(arrives, monkeypatch):
    """`verify` looks again if rows arrived while it looked, and only then."""
    store, looks = DuckDBStore(), []
    fill(store, "classic")
    store.append({"tiles": tile_rows([111], Place(0, 0, 2), parent=11, volume=0.5)})  # a step has begun
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


# A server that is killed


@pytest.mark.slow
def test_a_server_that_is_killed_under_load(workers, databases, tmp_path):
    file = tmp_path / "answer"
    workers.run(uninterrupted, databases, LONG, file)
    assert workers.run(served_by_a_mortal, tmp_path / "mortal", LONG, "job", file, 3) == 3
