"""Looks at a certified region once more: simulates spots between the certified points."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.engine.ties import RejectionLimit
from adagrid.grid.columns import matrix_columns
from adagrid.grid.points import Points
from adagrid.refutation import Evidence
from adagrid.refutation.spots import SPOT_SIMS, SPOT_STREAM
from adagrid.runtime.evidence import SpotEvidence
from adagrid.runtime.exact import ExactErrors
from adagrid.runtime.job import AnyJob, logger
from adagrid.settings.goals import Validation
from adagrid.stores.store import StepKey

# Simulations that both tests may use together, at least, and as a share of the job's; the number of spots.
_SIMS, _SHARE, _FEWEST, _MOST = 30_000, 0.1, 8, 64


def check_spots(job: AnyJob, evidence: Evidence | None, earlier: SpotEvidence | None) -> SpotEvidence | None:
    """Simulate spots of what a job has certified, unless that is done, and return what they show.

    A job that trusts its family has spots where it computes errors, which are then tested.

    Args:
        job: the job.
        evidence: what was found on lines.
        earlier: what the last look before this one has shown.
    """
    store, method = job.store, job.record.method
    coordinations = store.table("coordinations")
    last = int(coordinations["coordination_id"].max()) if len(coordinations) else -1
    if earlier is not None and (earlier.rows["coordination_id"] == last).all():
        return earlier
    if not method.certified(store, job.record):
        return earlier
    step = StepKey(last, 0, last * job.record.coordinate_every)
    rows = _simulate_spots(job, step, evidence, 0 if earlier is None else len(store.table("spots")))
    if rows is None:
        return earlier
    job.append({"spots": job.signed(rows)})
    found = SpotEvidence(rows)
    logger.info("%s", found)
    return found


def _simulate_spots(job: AnyJob, step: StepKey, evidence: Evidence | None, number: int) -> pd.DataFrame | None:
    """Choose spots, simulate them, and return the rows that tell of them; None if there is nothing to see."""
    limit = _rejection_limit(job)
    if limit == -np.inf:  # nothing rejects
        return None
    family = job.work.simulator.model.family
    shift = np.random.SeedSequence([job.settings.model_seed, SPOT_STREAM]).generate_state(family.dim + 1) / 2.0**32
    spots = job.record.method.spots(job, partial(_number_of_spots, evidence), shift)
    if spots is None:
        return None
    theta = job.work.simulator.represented(spots.theta)
    computed = _computed(job, theta, spots.null_truth, limit)
    if computed is None and job.settings.trust_family is not None:
        return None
    points = Points.apart(theta, spots.null_truth, stream=SPOT_STREAM, first=number * SPOT_SIMS, each=SPOT_SIMS)
    job.display.begin(step, len(points), "spots")
    events, ties = _counted(job, job.statistics(points), limit)
    if computed is None and job.record.kind == "calibrate":  # as at the certified points, which know no ties
        events -= ties
    columns = {
        "id": points.id,
        **matrix_columns("theta", theta),
        **matrix_columns("null_truth", spots.null_truth.astype(np.uint8)),
        "n_sims": points.n_sims,
        "events": events,
        "ties": ties,
        "allowed": spots.allowed if computed is None else computed,
        "computed": np.uint8(computed is not None),
    }
    return pd.DataFrame(columns).assign(**vars(step), position=np.arange(len(points)))


def _counted(job: AnyJob, statistics: Array, limit: float) -> tuple[IntArray, IntArray]:
    """Return how many events there are at most, and how many of them are so only if ties are, shape (spots,)."""
    n_sims, quantity = np.full(len(statistics), statistics.shape[1]), job.record.quantity
    weak = quantity is not None and job.work.simulator.is_weak
    counts = []
    for ties in (False, True):
        rejections = RejectionLimit.of(limit, statistics.dtype, weak=weak, ties=ties).rejects(statistics).sum(axis=1)
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


def _rejection_limit(job: AnyJob) -> float:
    """Return what statistics are compared with, turned so that small ones reject."""
    goal = job.settings.goal
    if isinstance(goal, Validation):
        return job.record.model.direction * float(goal.rejection_limit)
    table = job.record.method.outcome(job.store, job.record)
    return float(job.store.extreme("lambda_star", largest=False, name=table)["lambda_star"].min())


def _computed(job: AnyJob, theta: FloatArray, null_truth: BoolArray, limit: float) -> FloatArray | None:
    """Return the computed probabilities of the event; None where the design does not compute its errors."""
    model, quantity = job.work.simulator.model, job.record.quantity
    if not job.record.computed:
        return None
    rejecting = ExactErrors(model).errors(theta, null_truth, model.direction * limit)
    return rejecting if quantity is None else quantity.computed(rejecting).estimate
