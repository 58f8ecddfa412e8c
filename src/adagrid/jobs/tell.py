"""Tells about a finished step: to the database, to the person who watches, and to the caller."""

from __future__ import annotations

from typing import Any

from adagrid.jobs.job import Job
from adagrid.jobs.progress import StepReport
from adagrid.jobs.work import A


def tell(job: Job[A], report: StepReport) -> None:
    """Report a step, or that a step found nothing to do."""
    content: dict[str, Any] = {
        "status": report.status.name,
        "n_tiles": report.n_tiles,
        "n_active": report.n_active,
        "seconds": report.seconds,
        "figures": {name: str(value) for name, value in report.figures.items()},
    }
    job.journal.hold(job.journal.report("step", report.place, **content))
    job.show(report)
