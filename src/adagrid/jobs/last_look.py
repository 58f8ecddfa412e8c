"""Looks at a certified region once more: simulates spots between the certified points, and reads what was found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.algorithms.exact import ExactErrors
from adagrid.algorithms.interpolated.base import positions
from adagrid.engine.ties import Cut
from adagrid.grid import Tiles
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.grid.tiles import matrix_columns
from adagrid.jobs.evidence import read_evidence, read_spots
from adagrid.jobs.job import AnyJob, logger
from adagrid.jobs.run import Run
from adagrid.jobs.work import AskedStatistics
from adagrid.refutation.spots import SPOT_SIMS, SPOT_STREAM, spot_points, spots_in_cells, spots_in_tiles
from adagrid.stores import Place

# Simulations that both tests may use together, at least, and as a share of the job's; the number of spots.
_SIMS, _SHARE, _FEWEST, _MOST = 30_000, 0.1, 8, 64


def contradicts_after_all(job: AnyJob) -> bool:
    """Simulate spots of a certified region, unless that is done; return whether they contradict family or errors.

    A job that trusts its family has spots where it computes errors, which are then tested.
    """
    run = Run(job.store)
    coordination = job.store.last_coordination()
    if coordination is None or not run.covered or run.guarantee != "certified":
        return False
    place = Place(coordination, 0, coordination * job.record.coordinate_every)
    if not len(job.store.step_rows("spots", place, ["id"])):
        _look(job, run, place)
    found = read_spots(job.store)
    return found is not None and found.refutes


def _look(job: AnyJob, run: Run, place: Place) -> None:
    """Choose spots, simulate them, and write them at once."""
    cut = _cut(job, run)
    if cut == -np.inf:  # nothing rejects
        return
    theta, null_truth, limit = _chosen(job, run, _number_of_spots(job))
    theta = job.work.simulator.represented(theta)
    computed = _computed(job, theta, null_truth, cut)
    if computed is None and job.algorithm.settings.trust_family is not None:
        return
    points = spot_points(theta, null_truth, len(job.store.table("spots")))
    job.display.begin(place, len(points), "spots")
    (answer,) = job.ask([AskedStatistics(points)])
    events, ties = _counted(job, answer.content["statistics"], cut)
    if computed is None and job.record.kind == "calibrate":  # as at the certified points, which know no ties
        events -= ties
    columns = {
        "id": points.id,
        **matrix_columns("theta", theta),
        **matrix_columns("null_truth", null_truth.astype(np.uint8)),
        "n_sims": points.n_sims,
        "events": events,
        "ties": ties,
        "allowed": limit if computed is None else computed,
        "computed": np.uint8(computed is not None),
    }
    rows = pd.DataFrame(columns).assign(**vars(place), position=np.arange(len(points)))
    job.append({"spots": job.signed(rows)})
    logger.info("%s", read_spots(job.store))


def _counted(job: AnyJob, statistics: Array, cut: float) -> tuple[IntArray, IntArray]:
    """Return how many events there are at most, and how many of them are so only if ties are, shape (spots,)."""
    n_sims, quantity = np.full(len(statistics), statistics.shape[1]), job.record.quantity
    weak = quantity is not None and job.work.simulator.model.is_weak
    counts = []
    for ties in (False, True):
        rejections = Cut.of(cut, statistics.dtype, weak=weak, ties=ties).rejects(statistics).sum(axis=1)
        counts.append(rejections if quantity is None else quantity.events(rejections, n_sims))
    return np.maximum(*counts), np.abs(counts[0] - counts[1])


def _number_of_spots(job: AnyJob) -> int:
    """Return how many spots what is left of the simulations for tests allows."""
    evidence = read_evidence(job.store)
    spent = 0 if evidence is None else evidence.total_sims
    allowed = max(_SIMS, int(_SHARE * job.store.summary()["simulations"]))
    return int(np.clip((allowed - spent) // SPOT_SIMS, _FEWEST, _MOST))


def _cut(job: AnyJob, run: Run) -> float:
    """Return what statistics are compared with, turned so that small ones reject."""
    if job.record.kind == "calibrate":
        return float(run.worst_tile()["lambda_star"])
    return job.record.model.direction * float(job.algorithm.settings.cut)


def _chosen(job: AnyJob, run: Run, n_spots: int) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Return parameters and null configurations of spots, and how frequent the family allows the event to be there."""
    family, seed = job.work.simulator.model.family, job.algorithm.settings.model_seed
    shift = np.random.SeedSequence([seed, SPOT_STREAM]).generate_state(family.dim + 1) / 2.0**32
    rows = run.results()
    if job.record.method == "classic":
        return spots_in_tiles(family, Tiles.from_frame(rows), _events(job, rows), n_spots, shift)
    vertices, cells = run.vertices(), Cells.from_frame(rows)
    points = Points.from_frame(vertices)
    place = positions(points.id, cells.point_id)
    simplices = Simplices(points.theta[place], cells.null_truth, cells.id)
    n_sims = np.maximum(points.n_sims, 1)  # of computed errors, whose limits are not used
    return spots_in_cells(family, simplices, _events(job, vertices)[place], n_sims[place], n_spots, shift)


def _events(job: AnyJob, rows: pd.DataFrame) -> IntArray:
    """Return how many events were counted, at most, at tiles or vertices."""
    n_sims, quantity = rows["n_sims"].to_numpy(np.int64), job.record.quantity
    if quantity is None:  # fewer statistics than the rank are below the threshold
        return np.clip(rows["rank"].to_numpy(np.int64) - 1, 0, np.maximum(n_sims, 1))
    return quantity.events(rows["rejections"].to_numpy(np.int64), n_sims).clip(0, np.maximum(n_sims, 1))


def _computed(job: AnyJob, theta: FloatArray, null_truth: BoolArray, cut: float) -> FloatArray | None:
    """Return the computed probabilities of the event; None where the design does not compute its errors."""
    model, quantity = job.work.simulator.model, job.record.quantity
    if not job.record.computed:
        return None
    rejecting = ExactErrors(model).errors(theta, null_truth, model.direction * cut)
    return rejecting if quantity is None else quantity.computed(rejecting).estimate
