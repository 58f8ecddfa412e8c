"""One answer: whatever keeps the job, whoever simulates, however it is cut into packets, and if it is stopped.

A sample of the matrix, in which every two of the choices meet; ADAGRID_ALL_TESTS=1 runs all of it.
"""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from jobcases import assert_same, run_case, tables

import adagrid as ada
from adagrid.stores import open_store
from thorough import THOROUGH

JOBS = ("calibrate_z", "validate_fisher", "calibrate_fisher")
STORES = ("pandas", "memory", "file", "server")
WORKERS = (None, 1, 2, 4)
PACKETS = (1, 16, None)
ZONES = (1, 4)
# Before which of the leader's own writes it stops; workers that run zones write most of them.
STOPPED_AT = {False: 15, True: 8}


def _matrix():
    whole = itertools.product(STORES, WORKERS, ZONES, (False, True), JOBS, PACKETS)
    if THOROUGH:
        return list(whole)
    # Of every combination of the first three, one of the others, all of which meet each other.
    some = enumerate(itertools.product(STORES, WORKERS, ZONES))
    return [
        (*where, bool((i + i // 2 + i // 3) % 2), JOBS[(i + i // 2 + i // 3) % 3], PACKETS[(i + i // 2 + i // 5) % 3])
        for i, where in some
    ]


@cache
def _expected(job, n_zones):
    return tables(run_case(job, db="pandas", backend=ada.LocalBackend(n_zones, 2)))


class Stopped(BaseException):
    pass


@pytest.fixture
def opened(tmp_path, request):
    """Opens a job, new or again."""

    def opened(where, before=None):
        if where == "server":
            return request.getfixturevalue("on_server")(before and before.location)
        if where == "file":
            return open_store(tmp_path / "job.duckdb")
        return before or open_store("pandas" if where == "pandas" else None)

    return opened


@pytest.mark.slow
@pytest.mark.parametrize(("where", "n_workers", "n_zones", "stopped", "job", "packet_size"), _matrix())
def test_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters):
    local = n_workers is None
    backend = ada.LocalBackend(n_zones, 2) if local else ada.DaskBackend(n_zones, 2, cluster=clusters(n_workers))
    how = {"backend": backend, "packet_size": packet_size}
    store = opened(where)
    if stopped:
        append, left = store._append, [STOPPED_AT[where == "server" and not local and n_zones > 1]]

        def stopping(frames):
            left[0] -= 1
            if left[0] == 0:
                raise Stopped
            append(frames)

        store._append = stopping
        with pytest.raises(Stopped):
            run_case(job, db=store, **how)
        store._append = append
        if where in ("file", "server"):
            store.close()
            store = opened(where, store)
    with run_case(job, db=store, **how) as run:
        assert_same(run, _expected(job, n_zones))
        run.verify()


def test_every_two_choices_meet():
    for first, second in itertools.combinations(range(6), 2):
        values = [(STORES, WORKERS, ZONES, (False, True), JOBS, PACKETS)[i] for i in (first, second)]
        met = {(row[first], row[second]) for row in _matrix()}
        assert met == set(itertools.product(*values)), (first, second)
