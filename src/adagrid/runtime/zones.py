"""Runs the zones of a job: in this process, or on workers that write to the job's database themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from adagrid._deadline import TimeUpError, seconds_left, within
from adagrid.backends import LocalBackend
from adagrid.runtime.job import Job
from adagrid.runtime.journal import Journal
from adagrid.runtime.pace import Pace
from adagrid.runtime.progress import ProgressDisplay, StepReport
from adagrid.runtime.requests import A
from adagrid.runtime.work import Work
from adagrid.stores import Store

R = TypeVar("R")


def run_zones(job: Job[A], zones: Sequence[Callable[[Job[A]], R]]) -> list[R]:
    """Run zones, which are independent of each other, and return how each ended.

    Workers run them if the backend has any, they can open the job's database, and there are several zones. Else they
    are led from here one after the other, and the backend runs their packets.

    Args:
        job: the job.
        zones: what each of them does, given the job; it can be pickled, and so can its result.

    Raises:
        TimeUpError: if the time was used up within a step of one.
    """
    opener = job.store.opener
    if opener is None or not job.backend.has_workers or len(zones) == 1:
        return [zone(job) for zone in zones]
    work, ends = _ZoneWork[A, R](job.work, opener, job.seconds, seconds_left()), list[R]()
    for end, reports in job.backend.map(work, zones):
        ends.extend(end)
        for report in reports:
            job.show(report)
    if len(ends) < len(zones):
        raise TimeUpError
    return ends


@final
@dataclass(frozen=True)
class _ZoneWork(Generic[A, R]):
    """Runs a zone on a worker; returns how it ended, nothing if its time was used up, and what it reports.

    Args:
        work: simulates its packets.
        opener: opens the job's database.
        seconds: how long the run has taken so far.
        seconds_left: after which no new packet begins.
    """

    work: Work[A]
    opener: Callable[[], Store]
    seconds: float
    seconds_left: float

    def __call__(self, zone: Callable[[Job[A]], R]) -> tuple[list[R], list[StepReport]]:
        worker = self.work.pool.join()
        reports: list[StepReport] = []
        with closing(self.opener()) as store:
            job = Job(
                store=store,
                work=self.work,
                backend=LocalBackend(self.work.record.n_zones, self.work.record.coordinate_every),
                journal=Journal(store, worker.worker_id),
                display=ProgressDisplay(show=False, direction=1.0),
                callback=reports.append,
                started=time.monotonic() - self.seconds,
                worker_id=worker.worker_id,
                pace=Pace(self.work.record.block),
            )
            with job.recorded(), within(self.seconds_left):
                job.register(worker)
                try:
                    return [zone(job)], reports
                except TimeUpError:
                    return [], reports
