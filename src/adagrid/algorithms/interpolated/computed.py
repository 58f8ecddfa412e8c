"""Errors that a design computes: plans need no pilot, because the error rate is its own surrogate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adagrid._typing import BoolArray, FloatArray
from adagrid.algorithms.base import computed_thresholds
from adagrid.algorithms.interpolated.base import Stage
from adagrid.algorithms.interpolated.planning import Rates
from adagrid.algorithms.interpolated.surrogate import LEAST, MOST
from adagrid.algorithms.quantities import Quantity, TypeIError
from adagrid.errors import ModelError
from adagrid.grid.points import Points
from adagrid.models import Model

# How often a threshold is lowered to the level's at the worst point, and how far above its aim an error may stay then.
_LOWERINGS, _ABOVE = 50, 1e-3


class NotComputedError(ModelError):
    """A design does not compute its errors, or not everywhere."""

    def __init__(self) -> None:
        super().__init__(
            "The design computed its errors, so that no simulations were planned, and then exact_error or "
            "exact_threshold returned None for other parameters. Return None everywhere or nowhere."
        )


def computed_rates(model: Model, quantity: Quantity, threshold: float) -> Rates:
    """Return what computes the rates at which an event occurs, as a function that plans take.

    Args:
        model: the design.
        quantity: whose event it is.
        threshold: in the design's own direction.

    Returns:
        A function that raises NotComputedError where the design does not compute its errors.
    """

    def rates(theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        exact = model.exact_error(theta, null_truth, threshold)
        if exact is None:
            raise NotComputedError
        return np.clip(quantity.computed(exact).estimate, LEAST, MOST)

    return rates


def computed_threshold(model: Model, theta: FloatArray, null_truth: BoolArray, aim: float) -> float:
    """Return about the largest threshold with which the error at no point exceeds what it is to be.

    Begin with the first point's and lower it to that of the worst point as long as there is one above the aim.

    Args:
        model: the design.
        theta: parameters, shape (points, dim).
        null_truth: their null configurations.
        aim: what the largest error is to be.

    Returns:
        The threshold, turned so that small statistics reject.

    Raises:
        NotComputedError: if the design does not compute its errors.
    """
    worst, threshold = 0, np.inf
    for _ in range(_LOWERINGS):
        there = slice(worst, worst + 1)
        found = computed_thresholds(model, theta[there], null_truth[there], np.array([aim]))
        if found is None:
            raise NotComputedError
        threshold = min(threshold, float(found[0]))
        error = computed_rates(model, TypeIError(), model.direction * threshold)(theta, null_truth)
        worst = int(error.argmax())
        if error[worst] <= aim * (1 + _ABOVE):
            break
    return threshold


def first_stage(pilot: Points, plan: Callable[[], object]) -> Stage:
    """Return a pilot, without points where plans do without one.

    Args:
        pilot: the points of the pilot.
        plan: plans from computed errors, or raises NotComputedError.
    """
    try:
        plan()
    except NotComputedError:
        return Stage("pilot", pilot)
    return Stage("pilot", pilot.take(slice(0)))


def check_simulated(points: Points) -> None:
    """Refuse points that would have to be simulated although they were planned to be computed."""
    if not points.n_sims.all():
        raise NotComputedError
