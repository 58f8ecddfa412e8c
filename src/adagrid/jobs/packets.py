"""Simulates tiles or points in packets, the unit that is simulated, written and retried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from adagrid._typing import Array, IdArray, IntArray
from adagrid.engine import StatisticError
from adagrid.errors import ModelError
from adagrid.grid import Tiles
from adagrid.grid.points import Points
from adagrid.jobs.job import A, Job
from adagrid.stores import Place
from adagrid.stores.base import Table

_PACKET_SIZE = 4096


def write_packets(
    job: Job[A],
    place: Place,
    table: Table,
    subjects: Tiles | Points,
    written: IdArray,
    simulate: Callable[[IntArray], Mapping[str, Array]],
    *,
    position: IntArray | None = None,
    unit: str = "tiles",
) -> Iterator[pd.DataFrame]:
    """Simulate what has no results yet, write every packet at once, and yield the rows that were written.

    Args:
        job: the job.
        place: where in the job this happens.
        table: the table to write to.
        subjects: tiles or points; rows are their columns with what simulation gave.
        written: ids that have results already.
        simulate: simulates the subjects at given positions and returns result columns.
        position: positions to write down, shape (subjects,); those among the subjects if None.
        unit: what the subjects are called for the person who watches.

    Raises:
        ModelError: naming the subject, if the design fails.
    """
    missing = np.flatnonzero(~np.isin(subjects.id, written))
    missing = missing[np.argsort(subjects.n_sims[missing], kind="stable")]  # those alike are simulated together
    size = job.algorithm.settings.packet_size or _PACKET_SIZE
    packets = [missing[start : start + size] for start in range(0, len(missing), size)]
    job.display.begin(place, len(subjects), unit)
    job.display.advance(len(subjects) - len(missing))
    answers = job.backend.map_packets(lambda rows: _timed(simulate, subjects, rows), packets)
    for number, (rows, (answer, seconds)) in enumerate(zip(packets, answers, strict=True)):
        subject = (
            subjects.take(rows).to_frame().assign(**vars(place), position=rows if position is None else position[rows])
        )
        frame = pd.concat([subject, pd.DataFrame(dict(answer))], axis=1)
        report = job.journal.report("packet", place, number, size=len(rows), seconds=seconds)
        job.store.append_missing({table: job.signed(frame), "reports": report}, key=table)
        job.display.advance(len(rows))
        yield frame


def _timed(
    simulate: Callable[[IntArray], Mapping[str, Array]], subjects: Tiles | Points, rows: IntArray
) -> tuple[Mapping[str, Array], float]:
    """Simulate a packet; name the tile or point if its design fails."""
    began = time.perf_counter()
    try:
        answer = simulate(rows)
    except StatisticError as error:
        here = (subjects.theta == error.theta).all(axis=1) & (subjects.null_truth == error.null_truth).all(axis=1)
        name = type(subjects).__name__.removesuffix("s")
        raise ModelError(f"{name} {subjects.id[here][0]}: {error} Everything finished before is saved.") from error
    return answer, time.perf_counter() - began
