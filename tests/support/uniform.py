"""A third method, as somebody else would add it: one file. It simulates every tile equally often and adapts nothing."""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

import adagrid as ada
from adagrid.bounds import tilt_bound, tilt_lower_bound
from adagrid.grid import Tiles
from adagrid.methods.tiles.algorithm import StepWork, tile_points
from adagrid.methods.tiles.requests import TilesRequest
from adagrid.methods.tiles.search import coordinate
from adagrid.methods.tiles.spots import spots
from adagrid.methods.tiles.step import finish_step
from adagrid.runtime.packets import write_packets
from adagrid.runtime.zones import run_zones
from adagrid.settings.method import Words
from adagrid.stores import StepKey
from adagrid.stores.layouts.tiles import TileLayout

COLUMNS = ("tie_estimate", "tie_point_lower", "tie_point_bound", "tie_lower", "tie_bound", "grid_cost", "sim_cost",
           "total_cost")  # fmt: skip


class Uniform(ada.Method):
    """Simulate every tile of the grid equally often. For validations."""

    name = "uniform"
    layout = TileLayout()
    words_for = Words(rows="tiles", around="", uncertified="none yet: tiles are missing")
    knows_grid = False
    finishes_steps = False

    n_sims: int = Field(default=256, ge=1, description="a positive whole number of simulations")

    def problems(self, goal):
        return ["The uniform method does not calibrate."] if goal.kind == "calibrate" else []

    @property
    def first_sims(self):
        return self.n_sims

    @property
    def many_sims(self):
        return self.n_sims

    def still_changeable(self, settings, kinds):
        return settings.procedural

    def algorithm(self, problem):
        return Bounds(problem.settings.validation)

    def columns(self, algorithm, dtype):
        return {"results": {"rejections": np.int64, **dict.fromkeys(COLUMNS, np.float64)}}

    def run(self, job, *, is_new):
        if job.store.last_coordination() is None:
            job = coordinate(job, 0)
        run_zones(job, [partial(simulate_zone, zone=zone) for zone in range(job.record.n_zones)])
        job.store.verify()
        return ada.Status.CONVERGED

    def spots(self, job, number, shift):
        return spots(job, "results", number, shift)

    def outcome(self, store, record):
        return "results"

    def simulated_for(self, outcome):
        return outcome

    def covers(self, store, record):
        return all(store.last_step(0, zone) is not None for zone in range(record.n_zones))

    def certified(self, store, record):
        return self.covers(store, record)

    def inconsistent_rows(self, store, record):
        rows = store.results("results", active=True)
        limits = record.quantity.limits(rows["rejections"], rows["n_sims"], record.settings.validation.delta)
        return rows["id"].to_numpy(np.uint64)[~np.isclose(rows["tie_point_bound"], limits.upper)]

    def work_done(self, counts, n_coordinations, *, computed):
        return f"{counts['active']:,} tiles, {self.n_sims:,} simulations each"

    def progress_line(self, report, figures):
        return figures


class Bounds:
    """Bounds the error of tiles from simulations at their centres."""

    def __init__(self, goal):
        self.goal = goal

    def simulate(self, simulator, work):
        tiles, family = work.tiles, simulator.model.family
        limit = simulator.model.direction * self.goal.rejection_limit
        rejections = simulator.count(tiles.theta, tiles.null_truth, limit, 0 * tiles.n_sims, tiles.n_sims, ties=True)
        estimate, lower, upper = self.goal.bounded.limits(rejections, tiles.n_sims, self.goal.delta)
        points, away = tile_points(simulator, tiles)
        bound = tilt_bound(family, points, away, upper)
        costs = bound - upper, upper - estimate, bound - estimate
        figures = (estimate, lower, upper, tilt_lower_bound(family, points, away, lower), bound, *costs)
        return {"rejections": rejections, **dict(zip(COLUMNS, figures, strict=True))}


def simulate_zone(job, zone):
    """Simulate the tiles of a zone, in packets, each written at once."""
    if job.store.last_step(0, zone) is not None:
        return
    step = StepKey(0, zone, 0)
    rows, retired = job.store.step_rows("tiles", step), job.store.step_rows("done", step)
    tiles = Tiles.from_frame(rows[~rows["id"].isin(retired["id"])])
    written = job.store.step_rows("results", step, ["id"])["id"].to_numpy(np.uint64)
    for _ in write_packets(job, step, "results", TilesRequest(StepWork.fresh(tiles)), written):
        pass
    finish_step(job, step, len(rows), len(retired))
