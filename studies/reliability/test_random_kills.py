"""Processes killed at random moments, wherever these lie."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time

import pytest

from tests.support.jobcases import CASES, assert_same, run_and_tell, run_case, tables


@pytest.fixture(scope="module")
def expected():
    return {case: tables(run_case(case)) for case in CASES}


@pytest.fixture
def processes(monkeypatch):
    """Makes processes that have imported everything and computed nothing: they are killed at work, not at imports."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["adagrid", "adagrid.stores.duckdb", "jax.scipy.stats"])
    return context


def test_sigkill_at_twenty_random_moments(tmp_path, expected, processes):
    """A real kill of a real process with a database file, then the same command again."""
    rng = random.Random(20)
    kills, latest = 0, 3.0  # seconds
    for attempt in range(20):
        case = CASES[attempt % len(CASES)]
        path = tmp_path / f"{attempt}.duckdb"
        reading, writing = processes.Pipe(duplex=False)
        process = processes.Process(target=run_and_tell, args=(writing, case), kwargs={"db": path, "packet_size": 2})
        process.start()
        writing.close()
        assert reading.recv() == "ready"
        time.sleep(rng.uniform(0.1, latest))
        process.kill()
        process.join()
        reading.close()
        killed = process.exitcode == -signal.SIGKILL
        assert killed or process.exitcode == 0
        kills += killed
        latest *= 1.0 if killed else 0.7  # the machine is faster than that
        run = run_case(case, db=path, packet_size=2)
        run.verify()
        assert_same(run, expected[case])
        run.close()
    assert kills >= 10, "most kills came too late to test anything"
