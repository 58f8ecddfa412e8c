"""Runs a job to its end: the leader's loop, zones, steps, packets, and continuing after anything."""

from adagrid.jobs.listing import drop_job, list_jobs
from adagrid.jobs.open import continue_job, start_job
from adagrid.jobs.outcome import Status
from adagrid.jobs.progress import StepReport
from adagrid.jobs.restore import copy_job, import_job
from adagrid.jobs.run import Run, open_job
from adagrid.jobs.view import Look, View, open_view

__all__ = [
    "Look",
    "Run",
    "Status",
    "StepReport",
    "View",
    "continue_job",
    "copy_job",
    "drop_job",
    "import_job",
    "list_jobs",
    "open_job",
    "open_view",
    "start_job",
]
