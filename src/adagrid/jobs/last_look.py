"""Looks at a certified region once more: simulates spots between the certified points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.algorithms.exact import ExactErrors
from adagrid.algorithms.interpolated.base import positions
from adagrid.engine.ties import Cut
from adagrid.grid import Tiles
from adagrid.grid.cells import Cells
from adagrid.grid.columns import matrix_columns
from adagrid.grid.points import Points
from adagrid.grid.simplices import Simplices
from adagrid.jobs.evidence import SpotEvidence
from adagrid.jobs.job import AnyJob, logger
from adagrid.jobs.run import Run
from adagrid.refutation import Evidence
from adagrid.refutation.spots import SPOT_SIMS, SPOT_STREAM, spots_in_cells, spots_in_tiles
from adagrid.stores import Place
from adagrid.stores.base import Table

# Simulations that both tests may use together, at least, and as a share of the job's; the number of spots.
_SIMS, _SHARE, _FEWEST, _MOST = 30_000, 0.1, 8, 64
# Tiles that are read to choose spots from.
_TILES = 4096


def look_once_more(job: AnyJob, evidence: Evidence | None, earlier: SpotEvidence | None) -> SpotEvidence | None:
    """Simulate spots of what a job has certified, unless that is done, and return what they show.

    A job that trusts its family has spots where it computes errors, which are then tested.

    Args:
        job: the job.
        evidence: what was found on lines.
        earlier: what the last look before this one has shown.
    """
    coordinations = job.store.table("coordinations")
    table = _certified(job, coordinations["kind"].tolist())
    if table is None:
        return earlier
    coordination = int(coordinations["coordination_id"].iloc[-1])
    if earlier is not None and (earlier.rows["coordination_id"] == coordination).all():
        return earlier
    place = Place(coordination, 0, coordination * job.record.coordinate_every)
    rows = _look(job, table, place, evidence, 0 if earlier is None else len(job.store.table("spots")))
    if rows is None:
        return earlier
    job.append({"spots": job.signed(rows)})
    found = SpotEvidence(rows)
    logger.info("%s", found)
    return found


def _certified(job: AnyJob, kinds: Sequence[str]) -> Table | None:
    """Return the table of what is certified; None if nothing is yet."""
    if job.record.method == "interpolated":
        return "certificate" if "pass" in kinds else None
    if kinds and kinds[-1] == "certify":
        return "certificate"
    run = Run(job.store) if job.record.computed or job.record.settings["n_steps"] == 1 else None
    return "results" if run is not None and run.covered and run.guarantee == "certified" else None


def _look(job: AnyJob, table: Table, place: Place, evidence: Evidence | None, number: int) -> pd.DataFrame | None:
    """Choose spots, simulate them, and return the rows that tell of them; None if there is nothing to see."""
    certified = job.store.results(table, active=True) if job.record.method == "interpolated" else _some(job, table)
    cut = _cut(job, table)
    if not len(certified) or cut == -np.inf:  # nothing rejects
        return None
    theta, null_truth, limit = _chosen(job, certified, evidence)
    theta = job.work.simulator.represented(theta)
    computed = _computed(job, theta, null_truth, cut)
    if computed is None and job.algorithm.settings.trust_family is not None:
        return None
    points = Points.apart(theta, null_truth, stream=SPOT_STREAM, first=number * SPOT_SIMS, each=SPOT_SIMS)
    job.display.begin(place, len(points), "spots")
    events, ties = _counted(job, job.statistics(points), cut)
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
    return pd.DataFrame(columns).assign(**vars(place), position=np.arange(len(points)))


def _some(job: AnyJob, table: Table) -> pd.DataFrame:
    """Return certified tiles, about so many at random as there may be spots to choose from: ids are random numbers."""
    share = min(1.0, _TILES / max(job.store.summary()["active"], 1))
    within: dict[str, tuple[float, float]] = {} if share == 1 else {"id": (0, share * 2.0**64)}
    return job.store.between(table, within)


def _counted(job: AnyJob, statistics: Array, cut: float) -> tuple[IntArray, IntArray]:
    """Return how many events there are at most, and how many of them are so only if ties are, shape (spots,)."""
    n_sims, quantity = np.full(len(statistics), statistics.shape[1]), job.record.quantity
    weak = quantity is not None and job.work.simulator.is_weak
    counts = []
    for ties in (False, True):
        rejections = Cut.of(cut, statistics.dtype, weak=weak, ties=ties).rejects(statistics).sum(axis=1)
        counts.append(rejections if quantity is None else quantity.events(rejections, n_sims))
    return np.maximum(*counts), np.abs(counts[0] - counts[1])


def _number_of_spots(evidence: Evidence | None, n_sims: IntArray) -> int:
    """Return how many spots what is left of the simulations for tests allows.

    Args:
        evidence: what was found on lines.
        n_sims: the simulations that certify.
    """
    spent = 0 if evidence is None else evidence.total_sims
    allowed = max(_SIMS, int(_SHARE * n_sims.sum()))
    return int(np.clip((allowed - spent) // SPOT_SIMS, _FEWEST, _MOST))


def _cut(job: AnyJob, table: Table) -> float:
    """Return what statistics are compared with, turned so that small ones reject."""
    if job.record.kind == "validate":
        return job.record.model.direction * float(job.algorithm.settings.cut)
    return float(job.store.extreme("lambda_star", largest=False, name=table)["lambda_star"].min())


def _chosen(
    job: AnyJob, certified: pd.DataFrame, evidence: Evidence | None
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Return parameters and null configurations of spots, and how frequent the family allows the event to be there."""
    family, seed = job.work.simulator.model.family, job.algorithm.settings.model_seed
    shift = np.random.SeedSequence([seed, SPOT_STREAM]).generate_state(family.dim + 1) / 2.0**32
    if job.record.method == "classic":
        tiles = Tiles.from_frame(certified)
        n_spots = _number_of_spots(evidence, tiles.n_sims)
        return spots_in_tiles(family, tiles, _events(job, certified), n_spots, shift)
    vertices, cells = job.store.table("vertices"), Cells.from_frame(certified)
    points = Points.from_frame(vertices)
    place, n_spots = positions(points.id, cells.point_id), _number_of_spots(evidence, points.n_sims)
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
