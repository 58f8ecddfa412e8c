"""Tests the family that a design declares, before its job plans anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, FloatArray
from adagrid.engine.ties import near
from adagrid.errors import ModelError
from adagrid.grid import Tiles
from adagrid.grid.columns import matrix_columns
from adagrid.grid.points import Points
from adagrid.models import ArrayModel
from adagrid.refutation import Ask, Evidence, Inquiry, Lines
from adagrid.refutation.evidence import SCAN_STREAM, never
from adagrid.runtime.evidence import read_evidence
from adagrid.runtime.job import AnyJob, logger
from adagrid.settings.goals import Validation
from adagrid.stores.store import StepKey

# Simulations at each point of the lines that are compared between seeds; how many statistics of all must differ from
# the commonest.
_COMPARED, _DIFFERENT = (64, 512), 8
# Share of trials that reject beyond which the direction is probably wrong.
_NEARLY_ALL = 0.9
# Lines are written before the first coordination, whose place they have.
BEFORE_FIRST = StepKey(0, 0, 0)


def gather_evidence(job: AnyJob, tiles: Callable[[], Tiles], *, is_new: bool) -> Evidence | None:
    """Test the declared family, unless that is done; return what was found, None if the job trusts its family.

    Every round of bets is written at once and whole. A round that a kill has interrupted is repeated.

    Args:
        job: the job.
        tiles: returns the tiles of its grid.
        is_new: whether this process has started the job, so that nothing of the test is stored.
    """
    settings, model = job.settings, job.work.simulator.model
    if settings.trust_family is not None:
        return None
    found = None if is_new else read_evidence(job.store)
    if found is not None and not found.is_open:
        return found
    inquiry = Inquiry(model.family, model.precision, settings.family_lines, settings.family_sims, settings.model_seed)
    ask = partial(_statistics, job)
    lines = inquiry.lines(tiles(), ask) if found is None else found.lines
    if isinstance(model, ArrayModel) and len(lines):
        _check_seeds(model, inquiry, lines, ask)
    for found in inquiry.bet(lines, ask, partial(_near_threshold, job)):
        job.append_missing({"lines": job.signed(_rows(inquiry, found))}, key="lines", is_new=is_new)
        logger.info("declared family %s", found)
    return found


def _statistics(job: AnyJob, points: Points) -> FloatArray:
    """Simulate points wherever the job's backend simulates, and return their statistics."""
    job.display.begin(BEFORE_FIRST, len(points), "points to test the family")
    statistics = job.statistics(points)
    job.display.advance(len(points))
    return statistics


def _check_seeds(model: ArrayModel, inquiry: Inquiry, lines: Lines, ask: Ask) -> None:
    """Refuse an array design whose trials do not change with the seed, or with the number of the simulation.

    Its fresh pass would repeat the trials of the pilot. More trials are compared until enough of them differ from the
    commonest value.

    Raises:
        ModelError: if no difference is found.
    """
    name = type(model).__name__
    for n_sims in _COMPARED:
        points = inquiry.points(lines, 0, n_sims)
        values = ask(points)
        if _is_constant(values):
            continue
        if not (values != values[:, :1]).any():
            raise ModelError(
                f"{name}.simulate must give other trials for other simulations, but at each of {len(points)} points "
                f"all of {n_sims} statistics are equal. Seed no generator inside a trial: take randomness from "
                "self.uniforms(begin, end, ...), or make a generator for every pair (self.seed, i)."
            )
        if not np.array_equal(values, ask(replace(points, stream=np.full(len(points), SCAN_STREAM)))):
            return
        raise ModelError(
            f"{name}.simulate must give other trials for another seed, but self.seed makes no difference in "
            f"{values.size:,} trials. Take its randomness from self.uniforms(begin, end, ...), or seed generators with "
            "self.seed."
        )
    raise ModelError(
        f"{name}.simulate returned {values.flat[0]} nearly always, in {values.size:,} trials at {len(points)} points, "
        "so adagrid cannot see whether its trials are random. Return a statistic and not a decision, or give a region "
        "in which the design rejects now and then, or say in trust_family= why it need not be tested."
    )


def _is_constant(values: FloatArray) -> bool:
    """Return whether too few statistics differ from the commonest one to tell two samples apart."""
    return values.size - int(np.unique(values, return_counts=True)[1].max()) < _DIFFERENT


def _near_threshold(job: AnyJob, statistics: FloatArray) -> BoolArray:
    """Return which statistics tie with the threshold of a validation; warn if nearly all reject."""
    goal = job.settings.goal
    if not isinstance(goal, Validation):
        return never(statistics)
    threshold = job.record.model.direction * goal.rejection_limit
    share = (statistics < threshold).mean() if goal.quantity == "error" else 0.0
    if share > _NEARLY_ALL:
        warning = (
            f"{share:.1%} of {statistics.size:,} trials across the region reject. Is reject_when="
            f"{job.record.model.reject_when!r} right for this statistic, and is the threshold {goal.threshold!r}?"
        )
        logger.warning(warning)
        job.display.warn(warning)
    return near(statistics, threshold)


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
    return pd.DataFrame(columns).assign(**vars(BEFORE_FIRST), position=np.arange(len(lines)))
