"""One step of a zone, in the order that survives a kill anywhere: tiles, results packet by packet, done, steps.

Every stage writes only what is missing and is a pure function of what was finished before the step, so running a
step again completes it and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd

from adagrid._typing import Array
from adagrid.algorithms import Choice, Frontier, Packet
from adagrid.engine import StatisticError
from adagrid.errors import CorruptStoreError, ModelError
from adagrid.grid import Tiles
from adagrid.grid.grid import deepen, refine
from adagrid.jobs.job import Job, logger
from adagrid.stores import Place

_PACKET_SIZE = 4096


def first_step(job: Job, place: Place) -> Frontier:
    """Simulate the tiles of the initial grid that belong to a zone, and return the zone's frontier."""
    rows = job.store.step_rows("tiles", place)
    retired = job.store.step_rows("done", place)
    tiles = Tiles.from_frame(rows[~rows["id"].isin(retired["id"])])
    results = _simulate(job, place, Packet.fresh(tiles))
    _finish(job, place, len(rows), len(retired))
    return Frontier(results | {"eligible": np.ones(len(tiles), bool)})


def next_step(job: Job, place: Place, frontier: Frontier, choice: Choice) -> tuple[Frontier, int]:
    """Work on chosen tiles and return the frontier afterwards, with the number of tiles created."""
    packet, children = _children(job, frontier, choice)
    if len(packet):
        frame = packet.tiles.to_frame().assign(**vars(place), position=np.arange(len(packet)))
        _refuse_collisions(job, place, packet.tiles)
        job.store.append_missing({"tiles": job.signed(frame)}, key="tiles")
    results = _simulate(job, place, packet)
    replaced = choice.refine | choice.deepen
    done = pd.DataFrame(
        {
            "id": frontier.id[choice.chosen],
            "active": (~replaced).astype(np.uint8),
            "refine": np.where(choice.refine, children, 0),
            "deepen": np.where(choice.deepen, children, 0),
            "split": 0,
            **vars(place),
        }
    )
    job.store.append_missing({"done": job.signed(done)}, key="done")
    _finish(job, place, len(packet), len(done))
    return frontier.advance(choice.chosen, replaced, results), len(packet)


def _children(job: Job, frontier: Frontier, choice: Choice) -> tuple[Packet, Array]:
    """Create the children of chosen tiles, in the order of their parents.

    Returns:
        The children, and the number of children of every chosen tile.
    """
    parents = job.store.rows("results", frontier.id[choice.chosen])
    tiles = Tiles.from_frame(parents)
    to_refine, to_deepen = np.flatnonzero(choice.refine), np.flatnonzero(choice.deepen)
    refined, parent = refine(tiles.take(to_refine), job.hypotheses)
    born = Tiles.concatenate([refined, deepen(tiles.take(to_deepen))])
    parent = np.concatenate([to_refine[parent], to_deepen])
    order = np.argsort(parent, kind="stable")
    born, parent = born.take(order), parent[order]
    columns = {str(name): parents[name].to_numpy()[parent] for name in parents.columns}
    prior = job.algorithm.prior(columns, choice.deepen[parent])
    return Packet(born, *prior), np.bincount(parent, minlength=len(choice.chosen))


def _simulate(job: Job, place: Place, packet: Packet) -> dict[str, Array]:
    """Simulate tiles in packets, write each at once, and return their frontier columns.

    Tiles that already have results are not simulated again.
    """
    columns = ("id", *job.algorithm.frontier_columns)
    written = job.store.step_rows("results", place)
    missing = np.flatnonzero(~np.isin(packet.tiles.id, written["id"].to_numpy(np.uint64)))
    size = job.algorithm.settings.packet_size or _PACKET_SIZE
    packets = [missing[start : start + size] for start in range(0, len(missing), size)]
    job.display.begin(place, len(packet))
    job.display.advance(len(packet) - len(missing))
    parts = [written[list(columns)]]
    answers = job.backend.map_packets(lambda rows: _timed(job, packet.take(rows)), packets)
    for number, (rows, (answer, seconds)) in enumerate(zip(packets, answers, strict=True)):
        frame = packet.tiles.take(rows).to_frame().assign(**vars(place), position=rows, **answer)
        report = job.journal.report("packet", place, number, n_tiles=len(rows), seconds=seconds)
        job.store.append_missing({"results": job.signed(frame), "reports": report}, key="results")
        parts.append(frame[list(columns)])
        job.display.advance(len(rows))
    frame = pd.concat(parts, ignore_index=True)
    types = job.store.schema.tables["results"]
    return {name: frame[name].to_numpy(types[name]) for name in columns}


def _timed(job: Job, packet: Packet) -> tuple[Mapping[str, Array], float]:
    """Simulate a packet; name the tile if its design fails."""
    began = time.perf_counter()
    try:
        answer = job.algorithm.simulate(job.simulator, packet)
    except StatisticError as error:
        tiles = packet.tiles
        here = (tiles.theta == error.theta).all(axis=1) & (tiles.null_truth == error.null_truth).all(axis=1)
        tile = tiles.id[here][0]
        raise ModelError(f"Tile {tile}: {error} Everything finished before is saved.") from error
    return answer, time.perf_counter() - began


def _refuse_collisions(job: Job, place: Place, tiles: Tiles) -> None:
    """Stop if two different tiles have the same id."""
    unique, counts = np.unique(tiles.id, return_counts=True)
    clash = list(unique[counts > 1])
    known = job.store.known("tiles", tiles.id)
    if len(known):
        rows = job.store.rows("tiles", known)
        parents = dict(zip(tiles.id.tolist(), tiles.parent_id.tolist(), strict=True))
        clash += [i for i, p in zip(rows["id"], rows["parent_id"], strict=True) if parents[int(i)] != int(p)]
    if clash or (tiles.id == 0).any():
        raise CorruptStoreError(
            f"Two tiles have the same 64-bit id ({clash[:5]}) in step {place.step_id}. Start the job again with "
            "another initial grid (for example another n)."
        )


def _finish(job: Job, place: Place, n_tiles: int, n_done: int) -> None:
    """Write the commit record of a step, last."""
    row = pd.DataFrame([vars(place) | {"n_tiles": n_tiles, "n_done": n_done}])
    job.store.append({"steps": job.signed(row)})
    job.journal.flush()
    logger.info("step %d of zone %d finished: %d tiles", place.step_id, place.zone_id, n_tiles)
