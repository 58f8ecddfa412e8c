"""One answer: whatever keeps the job, whoever simulates, however it is cut into packets, and if it is stopped."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

import adagrid as ada
from adagrid.testing import PandasStore
from tests.support.jobcases import assert_same, run_case, tables

CHOICES = ("where", "n_workers", "n_zones", "stopped", "job", "packet_size")
JOBS = ("calibrate_z", "validate_fisher", "calibrate_fisher")
STORES = ("pandas", "memory", "file", "server")
WORKERS = (None, 1, 2, 4)
PACKETS = (1, 16, None)
ZONES = (1, 4)
# Before which of the leader's own writes it stops; workers that run zones write most of them.
STOPPED_AT = {False: 15, True: 8}


WHOLE = tuple(itertools.product(STORES, WORKERS, ZONES, (False, True), JOBS, PACKETS))
# Of every combination of the first three, one of the others, all of which meet each other.
SAMPLE = tuple(
    (*where, bool((i + i // 2 + i // 3) % 2), JOBS[(i + i // 2 + i // 3) % 3], PACKETS[(i + i // 2 + i // 5) % 3])
    for i, where in enumerate(itertools.product(STORES, WORKERS, ZONES))
)


@cache
def _expected(job, n_zones):
    return tables(run_case(job, db=PandasStore(), n_steps=8, backend=ada.LocalBackend(n_zones, 2)))


class Stopped(BaseException):
    pass


def assert_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters) -> None:
    """Run a job, stopped in its middle or not, and compare it with that of one process."""
    local = n_workers is None
    backend = ada.LocalBackend(n_zones, 2) if local else ada.DaskBackend(n_zones, 2, cluster=clusters(n_workers))
    how = {"backend": backend, "packet_size": packet_size, "n_steps": 8}
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
