"""Drives a job to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from adagrid._deadline import TimeUpError, within
from adagrid.backends import Backend
from adagrid.copies.backup import Backup, Destination
from adagrid.grid import Tiles
from adagrid.launch.request import Request
from adagrid.records import LEADER, JobRecord, read_data
from adagrid.results.run import Run
from adagrid.runtime.evidence import read_spots
from adagrid.runtime.family_test import gather_evidence
from adagrid.runtime.interrupt import stoppable
from adagrid.runtime.job import AnyJob, Job, logger
from adagrid.runtime.journal import Journal
from adagrid.runtime.pace import Pace
from adagrid.runtime.progress import ProgressDisplay
from adagrid.runtime.spot_check import check_spots
from adagrid.runtime.status import Status
from adagrid.runtime.work import Work, algorithm_of
from adagrid.runtime.workers import differences
from adagrid.stores import Store


def make_job(
    store: Store, work: Work[Any], backend: Backend, request: Request, destinations: Sequence[Destination]
) -> AnyJob:
    """Return a job that can be driven.

    Args:
        store: the job's.
        work: what simulates for it.
        backend: where work runs.
        request: how to run it.
        destinations: further places that receive copies of the job.
    """
    record = work.record
    display = ProgressDisplay(request.progress, record.model.direction, record.method.progress_line)
    return Job(
        store=store,
        work=work,
        backend=backend,
        journal=Journal(store, LEADER),
        display=display,
        callback=request.options.callback,
        observers=[Backup(store, destination, display.warn) for destination in destinations],
        pace=Pace(record.block),
    )


def drive(job: AnyJob, tiles: Callable[[], Tiles], begun: AnyJob | None = None) -> Run:
    """Let the leader work, with messages going to the database, and return what can be read afterwards.

    Args:
        job: the job.
        tiles: returns the tiles of its grid.
        begun: the same with the settings of the step that is under way, if the job is continued.
    """
    with stoppable(job), job.recorded():
        with job.display, job.backend, within(job.settings.timeout), suppress(TimeUpError):
            status = Status.TIMED_OUT
            if begun is not None:
                _finish_begun(job, begun)
            status = _run(job, tiles, is_new=begun is None)
        job.append({"reports": job.journal.report("finish", status=status.name)})
        logger.info("finished: %s", status.name)
        job.notify_at_end()
    return Run(job.store, status, partial(_certify, job))


def _certify(job: AnyJob) -> None:
    """Certify what a job has found."""
    job.record.method.certify(job)


def _finish_begun(job: AnyJob, begun: AnyJob) -> None:
    """Finish the step that is under way as it was begun, then let the job's own settings take effect."""
    _log_changed_environment(job)
    if begun.work.pool.start != job.work.pool.start:  # what the begun step simulates is of another design
        job.append({"config": config_row(begun)})
    if job.record.method.finishes_steps:
        try:
            job.record.method.finish_begun(begun)
        except TimeUpError:
            if begun.record.settings != job.record.settings:
                job.display.warn("The time was used up within a step that had begun before. Give overrides= again.")
            raise
    job.append({"config": config_row(job)})
    job.notify()


def _run(job: AnyJob, tiles: Callable[[], Tiles], *, is_new: bool) -> Status:
    """Test the declared family, lead the job, and look once more at what it has certified."""
    spots = None if is_new else read_spots(job.store)
    if spots is not None and spots.refutes:
        return Status.REFUTED
    evidence = gather_evidence(job, tiles, is_new=is_new)
    if evidence is not None and evidence.refutes:
        return Status.REFUTED
    status = job.record.method.run(job, is_new=is_new)
    spots = check_spots(job, evidence, spots)
    return Status.REFUTED if spots is not None and spots.refutes else status


def _log_changed_environment(job: AnyJob) -> None:
    """Log what of the environment could change the bits of simulations since the last start."""
    config = job.store.table("config")
    (past,) = read_data(config["environment"][config["worker_id"] == LEADER][-1:], job.store.location)
    for difference in differences(past, job.work.pool.leader.environment):
        logger.warning("changed since the last start: %s", difference)


def as_begun(job: AnyJob, record: JobRecord) -> AnyJob:
    """Return a job as its unfinished step was begun: what changes no decision holds at once, the rest after it."""
    if not record.method.finishes_steps:
        return job
    now, work = job.settings, job.work
    procedural = {name: value for name, value in now.by_name().items() if name in now.procedural}
    begun = job.record.model_copy(update={"settings": record.settings.changed(procedural)})
    algorithm = algorithm_of(begun, work.simulator.model, work.tiles, work.hypotheses)
    pool = replace(job.work.pool, start=job.work.pool.start - (begun.design != record.design))
    return replace(job, work=replace(job.work, record=begun, algorithm=algorithm, pool=pool))


def config_row(job: AnyJob) -> pd.DataFrame:
    """Return the row of `config` that says with what the job goes on."""
    pool = job.work.pool
    return pool.leader.config_row(pool.start, job.record).assign(time=time.time())
