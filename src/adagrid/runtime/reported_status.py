"""Reads how a job has ended from its reports."""

from __future__ import annotations

from adagrid.records import LEADER, read_data, reading
from adagrid.runtime.status import Status
from adagrid.stores import Store


def reported_status(store: Store) -> Status:
    """Return how a job has ended; NEW_STEP as long as it has not."""
    reports, config = store.table("reports"), store.table("config")
    finished = reports[reports["kind"] == "finish"]
    started = config["time"][config["worker_id"] == LEADER].max()
    if not len(finished) or finished["time"].iloc[-1] < started:
        return Status.NEW_STEP
    with reading(store.location):
        return Status[read_data(finished["content"][-1:], store.location)[0]["status"]]
