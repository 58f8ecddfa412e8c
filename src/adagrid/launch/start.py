"""Starts a job: everything is checked before anything is written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from adagrid.backends import LocalBackend
from adagrid.copies.backup import Destination
from adagrid.engine import Simulator
from adagrid.errors import InvalidInputError
from adagrid.grid import Grid, NullHypothesis, Tiles
from adagrid.grid.definition import definition
from adagrid.launch.checks import check_grid, check_role
from adagrid.launch.drive import config_row, drive, make_job
from adagrid.launch.identity import grid_fingerprint, model_record
from adagrid.launch.request import Request
from adagrid.models import Model
from adagrid.records import JobRecord
from adagrid.results.run import Run
from adagrid.runtime.exact import ExactErrors
from adagrid.runtime.job import AnyJob
from adagrid.runtime.work import Work, algorithm_of
from adagrid.runtime.workers import WorkerPool
from adagrid.settings.goals import Validation
from adagrid.settings.options import all_of
from adagrid.settings.settings import Settings
from adagrid.stores import Schema, Store
from adagrid.stores.store import zone_of
from adagrid.stores.tables import INCIDENTAL, Table

# Tiles at whose centres is tried whether a design computes its errors.
_TRIED = 64


def start_job(request: Request, grid: Grid, store: Store, destinations: Sequence[Destination] = ()) -> Run:
    """Start a job in an empty database and run it to its end.

    Args:
        request: what is asked for.
        grid: the region, covered by tiles.
        store: an open store without a job.
        destinations: further places that receive copies of the job.

    Raises:
        InvalidInputError: with everything that is wrong with the settings, the grid and the design.
        ModelError: if the design fails; the job can then be continued.
    """
    backend = request.backend or LocalBackend()
    settings = _checked(request, grid)
    for destination in destinations:
        destination.check(None)
    model = request.model
    simulator = Simulator(
        model,
        settings.model_seed,
        grid.tiles.n_nulls,
        at_most=settings.method.many_sims,
        selects=request.kind == "calibrate",
        value_range=settings.value_range,
    )
    record = JobRecord(
        job_id=request.options.job_id or uuid.uuid4().hex[:12],
        settings=settings,
        model=model_record(model, simulator.fingerprint),
        design=0,
        null_hypos=[definition(hypothesis) for hypothesis in grid.hypotheses],
        grid_fingerprint=grid_fingerprint(grid),
        theta_min=np.min(grid.tiles.theta - grid.tiles.radius, axis=0).tolist(),
        theta_max=np.max(grid.tiles.theta + grid.tiles.radius, axis=0).tolist(),
        n_zones=backend.n_zones,
        coordinate_every=backend.coordinate_every,
        chunk=simulator.shape.chunk,
        block=simulator.shape.block,
        computed=_computes(model, settings, grid.tiles),
    )
    known = grid.tiles if settings.method.knows_grid else None
    algorithm = algorithm_of(record, model, known, grid.hypotheses)
    added = settings.method.columns(algorithm, simulator.dtype)
    schema = Schema(grid.dim, grid.tiles.n_nulls, settings.method.layout, added)
    tiles, done = _initial_rows(grid, settings.method.first_sims, record.n_zones)
    null_hypos = _hypothesis_rows(grid.hypotheses)
    is_new = not store.exists
    if is_new:
        store.create(schema)
    else:
        _check_unfinished_start(store, schema, {"tiles": tiles, "done": done, "null_hypos": null_hypos})
    work = Work[Any](record, algorithm, simulator, known, grid.hypotheses, WorkerPool.gather(None, 0))
    job = make_job(store, work, backend, request, destinations)
    _write_job(job, null_hypos, tiles, done, is_new=is_new)
    return drive(job, lambda: grid.tiles)


def _computes(model: Model, settings: Settings, tiles: Tiles) -> bool:
    """Return whether a design computes the errors of a job: that is tried at some of its tiles' centres."""
    if not model.is_exact or settings.value_range is not None:
        return False
    some = tiles.take(np.argsort(tiles.id)[:_TRIED])
    goal, exact = settings.goal, ExactErrors(model)
    if isinstance(goal, Validation):
        return exact.computes(some.theta, some.null_truth, threshold=goal.rejection_limit)
    return exact.computes(some.theta, some.null_truth, level=goal.alpha)


def _checked(request: Request, grid: Grid) -> Settings:
    """Return the settings, or raise everything that is wrong with them and the grid."""
    checked: list[Any] = all_of(
        partial(check_grid, grid, request.model), partial(Settings.of, request.kind, request.method, request.values)
    )
    settings: Settings = checked[1]
    check_role(grid, settings.goal)
    return settings


def _initial_rows(grid: Grid, init_sims: int, n_zones: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of tiles and done that a job begins with."""
    frames = []
    for tiles in (grid.tiles.with_n_sims(init_sims), grid.retired):
        zone = zone_of(tiles.id, 0, n_zones)
        frames.append(tiles.to_frame().assign(coordination_id=0, zone_id=zone, step_id=0))
    rows = pd.concat(frames, ignore_index=True)
    rows["position"] = rows.groupby("zone_id").cumcount()
    if rows["id"].duplicated().any() or (rows["id"] == 0).any():
        raise InvalidInputError("Two tiles of the grid have the same 64-bit id. Use another n or another region.")
    return rows, frames[1].assign(active=0, refine=0, deepen=0, split=grid.n_children)


def _hypothesis_rows(hypotheses: Sequence[NullHypothesis]) -> pd.DataFrame:
    """Return the rows of null_hypos."""
    rows = [(position, each.describe(), definition(each)) for position, each in enumerate(hypotheses)]
    return pd.DataFrame(rows, columns=["position", "description", "definition"])


def _write_job(job: AnyJob, null_hypos: pd.DataFrame, tiles: pd.DataFrame, done: pd.DataFrame, *, is_new: bool) -> None:
    """Write the initial tiles, the hypotheses, and last the row that makes the job exist."""
    job.append_missing({"tiles": job.signed(tiles)}, key="tiles", is_new=is_new)
    job.append_missing({"done": job.signed(done)}, key="done", is_new=is_new)
    if not is_new:
        null_hypos = null_hypos[~null_hypos["position"].isin(job.store.table("null_hypos")["position"])]
    job.append({"null_hypos": null_hypos, "config": config_row(job)})


def _check_unfinished_start(store: Store, schema: Schema, expected: Mapping[Table, pd.DataFrame]) -> None:
    """Refuse a database in which the start of another job was interrupted.

    Args:
        store: the database.
        schema: the tables of the job that is asked for.
        expected: the rows that the job begins with.
    """
    same = store.schema == schema
    for name, rows in expected.items():
        if same:
            key = "id" if "id" in rows else "position"
            known, given = store.table(name).set_index(key), rows.set_index(key)
            columns = [column for column in known.columns if column not in INCIDENTAL]
            same = bool(known.index.isin(given.index).all())
            same = same and bool((known[columns] == given.loc[known.index, columns]).all(axis=None))
    if not same:
        raise InvalidInputError(
            f"{store.location} holds the interrupted start of another job. Start that one again, or give the path "
            "of a new file."
        )
