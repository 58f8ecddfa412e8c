"""Simulates tiles or points in packets, the unit that is simulated, written and retried."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pandas as pd

from adagrid._deadline import TimeUpError, seconds_left
from adagrid._typing import IdArray, IntArray
from adagrid.runtime.job import Job
from adagrid.runtime.requests import A, RowsRequest
from adagrid.stores.store import StepKey
from adagrid.stores.tables import Table

_PACKET_SIZE = 4096


def write_packets(
    job: Job[A],
    key: StepKey,
    table: Table,
    request: RowsRequest[A],
    written: IdArray | None,
    *,
    position: IntArray | None = None,
    unit: str = "tiles",
) -> Iterator[pd.DataFrame]:
    """Simulate what has no results yet, write every packet at once, and yield the rows that were written.

    Args:
        job: the job.
        key: where in the job this happens.
        table: the table to write to.
        request: tiles or points; rows are their columns with what simulation gave.
        written: ids that have results already; None if this process knows that none is stored.
        position: positions to write down, shape (subjects,); those among the subjects if None.
        unit: what the subjects are called for the person who watches.

    Raises:
        ModelError: naming the subject, if the design fails.
        TimeUpError: if the time is used up before all is simulated; what was begun is finished and written.
    """
    subjects = request.subjects
    is_new = written is None
    missing = np.arange(len(subjects)) if written is None else np.flatnonzero(~np.isin(subjects.id, written))
    missing = missing[np.argsort(subjects.n_sims[missing], kind="stable")]  # those alike are simulated together
    job.display.begin(key, len(subjects), unit)
    job.display.advance(len(subjects) - len(missing))
    under_way: deque[IntArray] = deque()

    def requests() -> Iterator[RowsRequest[A]]:
        for rows in _packets(job, missing, subjects.n_sims):
            under_way.append(rows)
            yield request.take(rows)

    left = len(missing)
    for number, response in enumerate(job.ask(requests()) if left else ()):
        rows = under_way.popleft()
        left -= len(rows)
        job.pace.note(subjects.n_sims[rows], response.seconds)
        subject = (
            subjects.take(rows).to_frame().assign(**vars(key), position=rows if position is None else position[rows])
        )
        frame = pd.concat([subject, pd.DataFrame(dict(response.content))], axis=1)
        who = response.worker.worker_id
        report = job.journal.report("packet", key, number, size=len(rows), seconds=response.seconds)
        frames: dict[Table, pd.DataFrame] = {table: job.signed(frame, who), "reports": report.assign(worker_id=who)}
        job.append_missing(frames, key=table, is_new=is_new)
        job.display.advance(len(rows))
        yield frame
    if left:
        raise TimeUpError


def _packets(job: Job[A], missing: IntArray, n_sims: IntArray) -> Iterator[IntArray]:
    """Yield the rows of packets, as long as there is time to begin one."""
    size = job.settings.packet_size
    while len(missing) and seconds_left() > 0:
        some = missing[: size or _PACKET_SIZE]
        rows = some if size else some[: job.pace.first(n_sims[some])]
        yield rows
        missing = missing[len(rows) :]
