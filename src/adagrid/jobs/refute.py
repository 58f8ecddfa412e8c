"""Tests the family that a design declares, before its job plans anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from adagrid._typing import FloatArray
from adagrid.engine.ties import near
from adagrid.grid import Tiles
from adagrid.grid.points import Points
from adagrid.grid.tiles import matrix_columns
from adagrid.jobs.evidence import read_evidence, read_spots
from adagrid.jobs.job import AnyJob, logger
from adagrid.jobs.work import AskedStatistics
from adagrid.refutation import Evidence, Inquiry
from adagrid.refutation.evidence import IsNear, never
from adagrid.stores import Place

# Lines are written before the first coordination, whose place they have.
PLACE = Place(0, 0, 0)


def contradicts(job: AnyJob, tiles: Callable[[], Tiles], *, is_new: bool) -> bool:
    """Test the declared family, unless that is done or the job trusts it; return whether simulations contradict it.

    Every round of bets is written at once and whole. A round that a kill has cut short is repeated.

    Args:
        job: the job.
        tiles: returns the tiles of its grid.
        is_new: whether this process has started the job, so that nothing of the test is stored.
    """
    settings = job.algorithm.settings
    spots = None if is_new else read_spots(job.store)
    if settings.trust_family is not None or (spots is not None and spots.refutes):
        return spots is not None and spots.refutes
    found = None if is_new else read_evidence(job.store)
    if found is None or found.is_open:
        model = job.work.simulator.model
        inquiry = Inquiry(
            model.family, model.precision, settings.family_lines, settings.family_sims, settings.model_seed
        )
        lines = inquiry.lines(tiles(), _asker(job)) if found is None else found.lines
        for found in inquiry.bet(lines, _asker(job), _is_near(job)):
            job.append_missing({"lines": job.signed(_rows(inquiry, found))}, key="lines", is_new=is_new)
            logger.info("declared family %s", found)
    return found is not None and found.refutes


def _asker(job: AnyJob) -> Callable[[Points], FloatArray]:
    """Return what lets points be simulated wherever the job's backend simulates."""

    def ask(points: Points) -> FloatArray:
        job.display.begin(PLACE, len(points), "points to test the family")
        (answer,) = job.ask([AskedStatistics(points)])
        job.display.advance(len(points))
        return answer.content["statistics"]

    return ask


def _is_near(job: AnyJob) -> IsNear:
    """Return what tells which statistics tie with the threshold of a validation."""
    settings = job.algorithm.settings
    if job.record.kind == "calibrate":
        return never
    return partial(near, threshold=job.record.model.direction * settings.cut)


def _rows(inquiry: Inquiry, found: Evidence) -> pd.DataFrame:
    """Return lines and their wagers as rows."""
    lines, wagers = found.lines, found.wagers
    columns = {
        "id": inquiry.points(lines, 0, found.n_sims).id[1::3],
        **matrix_columns("theta", lines.middle),
        **matrix_columns("half", lines.half),
        **matrix_columns("null_truth", lines.null_truth.astype(np.uint8)),
        "n_sims": found.n_sims,
        "log_wealth": [each.log_wealth for each in wagers],
        **matrix_columns("share", np.reshape([each.shares for each in wagers], (len(wagers), 3))),
        "allowed": [each.allowed for each in wagers],
        "ties": list(found.ties),
    }
    return pd.DataFrame(columns).assign(**vars(PLACE), position=np.arange(len(lines)))
