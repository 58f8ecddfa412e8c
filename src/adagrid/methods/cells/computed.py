"""Errors that a design computes: plans need no pilot, because the error rate is its own surrogate."""

from __future__ import annotations

import numpy as np

from adagrid._deadline import check_time
from adagrid._typing import BoolArray, FloatArray
from adagrid.methods.cells.planning import Rates
from adagrid.methods.cells.surrogate import LEAST, MOST
from adagrid.runtime.exact import ExactErrors
from adagrid.settings.quantities import Quantity, TypeIError

# How often a threshold is lowered to the level's at the worst point, and how far above its aim an error may stay then.
_LOWERINGS, _ABOVE = 50, 1e-3


def computed_rates(exact: ExactErrors, quantity: Quantity, threshold: float) -> Rates:
    """Return what computes the rates at which an event occurs, as a function that plans take.

    Args:
        exact: what the design computes.
        quantity: whose event it is.
        threshold: in the design's own direction.
    """

    def rates(theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        check_time()
        computed = exact.errors(theta, null_truth, threshold)
        return np.clip(quantity.computed(computed).estimate, LEAST, MOST)

    return rates


def computed_threshold(
    exact: ExactErrors, direction: float, theta: FloatArray, null_truth: BoolArray, aim: float
) -> float:
    """Return about the largest threshold with which the error at no point exceeds what it is to be.

    Begin with the first point's and lower it to that of the worst point as long as there is one above the aim.

    Args:
        exact: what the design computes.
        direction: the design's, 1 if small statistics reject, else -1.
        theta: parameters, shape (points, dim).
        null_truth: their null configurations.
        aim: what the largest error is to be.

    Returns:
        The threshold, turned so that small statistics reject.
    """
    worst, threshold = 0, np.inf
    for _ in range(_LOWERINGS):
        there = slice(worst, worst + 1)
        threshold = min(threshold, float(exact.thresholds(theta[there], null_truth[there], np.array([aim]))[0]))
        error = computed_rates(exact, TypeIError(), direction * threshold)(theta, null_truth)
        worst = int(error.argmax())
        if error[worst] <= aim * (1 + _ABOVE):
            break
    return threshold
