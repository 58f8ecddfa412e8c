"""Some of what `make reliability` does at every point; tests/jobs and tests/servers have one moment of each kind."""

from __future__ import annotations

import pytest

from tests.support.faults.disasters import (
    damaged_logs,
    killed_with_log,
    may_mount,
    on_small_disk,
    served_by_a_mortal,
    torn_log,
    twice_at_once,
    without_room,
)
from tests.support.faults.jobs import KILLED, LONG, DuckDBFiles
from tests.support.faults.runs import uninterrupted

SHORT = KILLED[0]
# Every how many moments a job is killed. On ClickHouse each takes about twice as long.
EVERY = {"DuckDB": 31, "ClickHouse": 41}


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
@pytest.mark.parametrize("job", KILLED)
def test_killed_at_some_moments(job, engine, killers, tmp_path):
    moments, outcomes = killers.kill_at(engine, job, tmp_path, every=EVERY[engine.name], first=11 * KILLED.index(job))
    assert len(moments) > 150
    assert {"before", "after"} <= {moment.when for moment in moments}
    assert len(outcomes) >= 4
    assert all(outcome.died for outcome in outcomes)
    assert not [outcome.error for outcome in outcomes if outcome.error]


# Damaged files
@pytest.mark.sample
def test_a_damaged_write_ahead_log_is_recovered_or_refused(killers, tmp_path):
    file = tmp_path / "answer"
    log = killers.run(killed_with_log, tmp_path, SHORT, file)
    damages = list(damaged_logs(log, 3))
    variants = [(tmp_path, SHORT, damaged, file) for _, damaged in damages]
    found = _survived(killers.run_all(torn_log, variants))
    kinds = {(what, became) for (what, _), became in zip(damages, found, strict=True)}
    assert ("cut off", "recovered") in kinds
    assert ("a byte flipped", "refused") in kinds


# No room
@pytest.mark.sample
def test_where_files_cannot_grow(killers, tmp_path):
    file = tmp_path / "answer"
    killers.run(uninterrupted, DuckDBFiles(tmp_path), SHORT, file)
    assert all(_survived(killers.run_all(without_room, [(tmp_path, SHORT, size, file) for size in (2, 4, 8)])))


def test_a_full_disk(killers, tmp_path):
    if not killers.run(may_mount, tmp_path / "disk"):
        pytest.skip("only who may mount disks can fill a small one")
    file = tmp_path / "answer"
    killers.run(uninterrupted, DuckDBFiles(tmp_path), SHORT, file)
    assert all(_survived(killers.run_all(on_small_disk, [(tmp_path, SHORT, size, file) for size in (8, 20)])))


# Two processes
@pytest.mark.parametrize("job", KILLED)
def test_two_processes_at_once(job, databases, killers, tmp_path):
    file = tmp_path / "answer"
    moments = killers.run(uninterrupted, databases, job, file)
    starts = [None, len(moments) // 3]
    _survived(killers.run_all(twice_at_once, [(databases, job, i, at, file) for i, at in enumerate(starts)]))


# A server that is killed
@pytest.mark.sample
def test_a_server_that_is_killed_under_load(killers, databases, tmp_path):
    file = tmp_path / "answer"
    killers.run(uninterrupted, databases, LONG, file)
    assert killers.run(served_by_a_mortal, tmp_path / "mortal", LONG, "job", file, 3) == 3
