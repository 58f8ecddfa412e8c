"""Chooses points between the centres of certified tiles, at which simulations could contradict the family."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from adagrid._typing import FloatArray, IntArray
from adagrid.grid import Tiles
from adagrid.methods._events import counted_events
from adagrid.refutation.spots import Spots, spots_in_tiles
from adagrid.runtime.job import AnyJob
from adagrid.stores.tables import Table

# Tiles that are read to choose spots from.
_TILES = 4096


def spots(job: AnyJob, table: Table, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
    """Return spots in certified tiles; None if there are none. See `Method.spots`."""
    certified = _some(job, table)
    if not len(certified):
        return None
    tiles, family = Tiles.from_frame(certified), job.work.simulator.model.family
    events = counted_events(certified, job.record.quantity)
    return spots_in_tiles(family, tiles, events, number(tiles.n_sims), shift)


def _some(job: AnyJob, table: Table) -> pd.DataFrame:
    """Return certified tiles, about so many at random as there may be spots to choose from: ids are random numbers."""
    share = min(1.0, _TILES / max(job.store.summary()["active"], 1))
    within: dict[str, tuple[float, float]] = {} if share == 1 else {"id": (0, share * 2.0**64)}
    return job.store.between(table, within)
