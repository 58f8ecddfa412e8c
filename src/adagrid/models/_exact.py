"""Errors of designs with binomial arms, as sums over outcomes. Small statistics reject here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.models._binomial import binomial_masses

# Relative amount by which sums are raised: more than the rounding of their terms and of adding up to 2^26 of them.
_ROUNDING = 1e-9
# Entries of intermediate arrays.
_AT_ONCE = 2**23


def exact_error(
    tables: FloatArray, patients: Sequence[int], theta: FloatArray, null_truth: BoolArray, threshold: float
) -> FloatArray:
    """Return the probabilities that a statistic is below a threshold, rounded up.

    Args:
        tables: statistics, shape (hypotheses, outcomes), or (1, outcomes) if all hypotheses share one statistic.
        patients: patients per arm; the last arm's responders vary fastest in the tables.
        theta: logits, shape (points, arms).
        null_truth: which hypotheses are true, shape (points, hypotheses).
        threshold: the threshold.

    Returns:
        Shape (points,).
    """
    shape = tuple(n + 1 for n in patients)
    error = np.empty(len(theta))
    for statistic, rows in _by_configuration(tables, null_truth):
        rejects = (statistic < threshold).astype(float).reshape(shape[0], -1)
        for some in _batches(rows, rejects.shape[1]):
            mass = [binomial_masses(n, logit) for n, logit in zip(patients, theta[some].T, strict=True)]
            summed = (mass[0] @ rejects).reshape(len(some), *shape[1:])
            for own in mass[1:]:
                summed = np.einsum("pi...,pi->p...", summed, own)
            error[some] = summed
    return np.minimum(error * (1 + _ROUNDING), 1.0)


def exact_threshold(
    tables: FloatArray, patients: Sequence[int], theta: FloatArray, null_truth: BoolArray, level: FloatArray
) -> FloatArray:
    """Return the largest thresholds that keep a level: P(statistic < threshold) is at most the level.

    Args:
        tables: statistics, as for `exact_error`.
        patients: patients per arm.
        theta: logits, shape (points, arms).
        null_truth: which hypotheses are true, shape (points, hypotheses).
        level: levels, shape (points,).

    Returns:
        Shape (points,): values of the statistic, or +inf if every trial may reject.
    """
    found = np.empty(len(theta))
    for statistic, rows in _by_configuration(tables, null_truth):
        values, place = np.unique(statistic, return_inverse=True)
        for row in rows.tolist():
            mass = np.ones(1)
            for n, logit in zip(patients, theta[row], strict=True):
                mass = np.outer(mass, binomial_masses(n, np.array([logit]))[0]).ravel()
            up_to = np.cumsum(np.bincount(place, mass, len(values)), dtype=float) * (1 + _ROUNDING)
            allowed = np.searchsorted(up_to, level[row], side="right")
            found[row] = values[allowed] if allowed < len(values) else np.inf
    return found


def _by_configuration(tables: FloatArray, null_truth: BoolArray) -> Iterator[tuple[FloatArray, IntArray]]:
    """Yield, for each configuration of true hypotheses, the least statistic of a true one, and the points."""
    if len(tables) == 1:
        yield tables[0], np.arange(len(null_truth))
        return
    configurations, place = np.unique(null_truth, axis=0, return_inverse=True)
    for number, truth in enumerate(configurations):
        yield tables[truth].min(axis=0, initial=np.inf), np.flatnonzero(place.ravel() == number)


def _batches(rows: IntArray, size: int) -> Iterator[IntArray]:
    step = max(1, _AT_ONCE // size)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
