"""Certifies a classic job: its grid is frozen and simulated afresh, once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from adagrid.errors import CorruptStoreError
from adagrid.grid import Tiles
from adagrid.grid.tiles import tile_columns
from adagrid.methods.tiles.algorithm import StepWork, TileAlgorithm
from adagrid.methods.tiles.requests import TilesRequest
from adagrid.methods.tiles.search import coordinate
from adagrid.methods.tiles.step import finish_step
from adagrid.runtime.evidence import read_evidence, read_spots
from adagrid.runtime.interrupt import stoppable
from adagrid.runtime.job import Job, logger
from adagrid.runtime.packets import write_packets
from adagrid.runtime.spot_check import check_spots
from adagrid.runtime.status import Status
from adagrid.runtime.workers import WorkerPool
from adagrid.runtime.zones import run_zones
from adagrid.stores import ZoneView
from adagrid.stores.store import StepKey


def certify(job: Job[TileAlgorithm]) -> None:
    """Simulate all active tiles with a seed stream that chose nothing; finish what an interrupted call has begun.

    There is one certifying pass in a job, and no search after it: with another, one could choose between them.
    """
    store = job.store
    pool = WorkerPool.gather(store, job.work.pool.start)  # others may work for it than for the search
    job = replace(job, work=replace(job.work, pool=pool))
    coordinations = store.table("coordinations")
    last = int(coordinations["coordination_id"].iloc[-1])
    with stoppable(job), job.recorded():
        if coordinations["kind"].iloc[-1] != "certify":
            last += 1
            job = coordinate(job, last, "certify")
        with job.display, job.backend:
            zones = range(job.record.n_zones)
            run_zones(job, [partial(_certify_zone, coordination=last, zone=zone) for zone in zones])
        store.verify()
        spots = check_spots(job, read_evidence(store), read_spots(store))
        if spots is not None and spots.refutes:
            job.append({"reports": job.journal.report("finish", status=Status.REFUTED.name)})
        logger.info("certified in %.1f s", job.seconds)
        job.notify_at_end()


def _certify_zone(job: Job[TileAlgorithm], coordination: int, zone: int) -> None:
    """Simulate the active tiles that a coordination deals to a zone, in packets, each written at once."""
    store, is_new = job.store, job.begun == coordination
    if not is_new and store.last_step(coordination, zone) is not None:
        return
    key = StepKey(coordination, zone, coordination * job.record.coordinate_every)
    columns = [name for name in tile_columns(store.schema.dim, store.schema.n_nulls) if name != "id"]
    view = ZoneView(coordination, zone, job.record.n_zones, key.step_id)
    tiles = Tiles.from_frame(pd.concat(store.frontier(view, columns)).sort_values("id"))
    written = None if is_new else store.step_rows("certificate", key, ["id"])["id"].to_numpy(np.uint64)
    if written is not None and not np.isin(written, tiles.id).all():
        raise CorruptStoreError(f"{store.location}: tiles were replaced after they were certified.")
    request = TilesRequest(StepWork.fresh(tiles), stream=job.algorithm.first_stream + 1)
    for _ in write_packets(job, key, "certificate", request, written, unit="tiles to certify"):
        pass
    finish_step(job, key, 0, 0)
