"""One step of a zone, in an order that survives a kill anywhere: tiles, results packet by packet, done, steps.

Every part of a step writes only what is missing, and is a function of what was finished before the step. So running a
step again completes it and changes nothing. Nothing of a new step can be stored, and nothing is looked up: this process
has finished the step before, or begun the coordination. If two processes work on the same step, both write the same
rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray
from adagrid.errors import CorruptStoreError
from adagrid.grid import Tiles
from adagrid.grid.grid import deepen, refine
from adagrid.methods.tiles.algorithm import Choice, StepWork, TileAlgorithm
from adagrid.methods.tiles.frontier import Frontier
from adagrid.methods.tiles.requests import TilesRequest
from adagrid.methods.tiles.stored_frontier import frontier_columns, taken
from adagrid.runtime.job import Job, logger
from adagrid.runtime.packets import write_packets
from adagrid.stores.store import StepKey


def first_step(job: Job[TileAlgorithm], key: StepKey, *, is_new: bool) -> Frontier:
    """Simulate the tiles of the initial grid that belong to a zone, and return the zone's frontier."""
    rows = job.store.step_rows("tiles", key)
    retired = job.store.step_rows("done", key)
    tiles = Tiles.from_frame(rows[~rows["id"].isin(retired["id"])])
    results = _simulate(job, key, StepWork.fresh(tiles), is_new=is_new)
    finish_step(job, key, len(rows), len(retired))
    return Frontier(job.algorithm.layout, [results | {"eligible": np.ones(len(tiles), bool)}])


def next_step(job: Job[TileAlgorithm], key: StepKey, frontier: Frontier, choice: Choice, *, is_new: bool) -> int:
    """Work on chosen tiles, bring the frontier up to date, and return the number of tiles created."""
    parents = taken(job, frontier, choice.chosen)
    packet, pruned, children = _children(job, parents, choice)
    born = Tiles.concatenate([packet.tiles, pruned])
    if len(born):
        frame = born.to_frame().assign(**vars(key), position=np.arange(len(born)))
        _refuse_collisions(key, born)
        job.append_missing({"tiles": job.signed(frame)}, key="tiles", is_new=is_new)
    results = _simulate(job, key, packet, is_new=is_new)
    replaced = choice.refine | choice.deepen
    nothing = np.zeros(len(pruned), np.int64)
    done = pd.DataFrame(
        {
            "id": np.concatenate([parents["id"].to_numpy(np.uint64), pruned.id]),
            "active": np.concatenate([~replaced, nothing]).astype(np.uint8),
            "refine": np.concatenate([np.where(choice.refine, children, 0), nothing]),
            "deepen": np.concatenate([np.where(choice.deepen, children, 0), nothing]),
            "split": 0,
            **vars(key),
        }
    )
    job.append_missing({"done": job.signed(done)}, key="done", is_new=is_new)
    finish_step(job, key, len(born), len(done))
    frontier.advance(choice.chosen, replaced, results)
    return len(born)


def _children(job: Job[TileAlgorithm], parents: pd.DataFrame, choice: Choice) -> tuple[StepWork, Tiles, Array]:
    """Create the children of chosen tiles, in the order of their parents.

    Returns:
        The children to simulate, those on which no null hypothesis is true, and the number of children of every
        chosen tile.
    """
    tiles = Tiles.from_frame(parents)
    to_refine, to_deepen = np.flatnonzero(choice.refine), np.flatnonzero(choice.deepen)
    refined, parent = refine(tiles.take(to_refine), job.hypotheses)
    born = Tiles.concatenate([refined, deepen(tiles.take(to_deepen))])
    parent = np.concatenate([to_refine[parent], to_deepen])
    order = np.argsort(parent, kind="stable")
    born, parent = born.take(order), parent[order]
    children = np.bincount(parent, minlength=len(parents))
    null: BoolArray = np.any(born.null_truth, axis=1)
    pruned, born, parent = born.take(~null), born.take(null), parent[null]
    columns = {str(name): parents[name].to_numpy()[parent] for name in parents.columns}
    prior = job.algorithm.prior(columns, choice.deepen[parent])
    return StepWork(born, *prior), pruned, children


def _simulate(job: Job[TileAlgorithm], key: StepKey, packet: StepWork, *, is_new: bool) -> dict[str, Array]:
    """Simulate tiles in packets, write each at once, and return their frontier columns.

    Tiles that already have results are not simulated again.
    """
    columns, types = list(frontier_columns(job)), job.store.schema.tables["results"]
    written = pd.DataFrame({name: np.empty(0, types[name]) for name in columns})
    if not is_new:
        written = job.store.step_rows("results", key, columns)
    known = None if is_new else written["id"].to_numpy(np.uint64)
    packets = write_packets(job, key, "results", TilesRequest(packet), known)
    frame = pd.concat([written, *(rows[columns] for rows in packets)], ignore_index=True)
    return {name: frame[name].to_numpy(types[name]) for name in columns}


def _refuse_collisions(key: StepKey, tiles: Tiles) -> None:
    """Stop if two tiles of a step have the same id; `verify` finds equal ids of different steps."""
    unique, counts = np.unique(tiles.id, return_counts=True)
    if (counts > 1).any() or (unique == 0).any():
        raise CorruptStoreError(
            f"Two tiles have the same 64-bit id ({unique[counts > 1][:5].tolist()}) in step {key.step_id}. Start "
            "the job again with another initial grid (for example another n)."
        )


def finish_step(job: Job[TileAlgorithm], key: StepKey, n_tiles: int, n_done: int) -> None:
    """Write the commit record of a step, last."""
    row = pd.DataFrame([vars(key) | {"n_tiles": n_tiles, "n_done": n_done}])
    job.append({"steps": job.signed(row)})
    job.journal.pause()
    logger.info("step %d of zone %d finished: %d tiles", key.step_id, key.zone_id, n_tiles)
