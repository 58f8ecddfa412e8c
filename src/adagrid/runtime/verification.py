"""Verifies a job: the relations between its tables, and that its figures follow from its simulations."""

from __future__ import annotations

import numpy as np

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError
from adagrid.records import read_records, reading
from adagrid.runtime.evidence import wrong_lines, wrong_spots
from adagrid.stores import Store


def verify_job(store: Store) -> None:
    """Check the relations between the tables, and that the figures of active rows follow from their counts.

    Args:
        store: the job's.

    Raises:
        CorruptStoreError: naming every relation that does not hold, with offending ids.
    """
    history, where = read_records(store), store.location
    record = history[-1]
    if incomplete := store.incomplete:  # what relations compare with nothing would hold
        raise CorruptStoreError(f"{where}: values are missing in {', '.join(incomplete)}; do not use its certificate.")
    with reading(where):
        store.verify()
        unknown = _of_unknown_designs(store, max(past.design for past in history))
        tests = wrong_lines(store, record), wrong_spots(store)
        wrong = np.concatenate([record.method.inconsistent_rows(store, record), *tests])
    if len(unknown):
        raise CorruptStoreError(
            f"{where}: no start has recorded the design that the rows {unknown[:10].tolist()} were simulated with; do "
            "not use its certificate."
        )
    if len(wrong):
        raise CorruptStoreError(
            f"{where}: the figures of the tiles, cells, points, lines or spots {wrong[:10].tolist()} do not follow "
            "from their simulations; do not use its certificate."
        )


def _of_unknown_designs(store: Store, last: int) -> IdArray:
    """Return the ids of simulated rows whose version of the design comes after the last recorded one."""
    unknown = last + 1, np.inf
    tables = (*store.schema.layout.simulated, "lines", "spots")
    return np.concatenate(
        [store.between(name, {"design": unknown}, ["id"])["id"].to_numpy(np.uint64) for name in tables]
    )
