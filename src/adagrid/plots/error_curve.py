"""The Type I Error (power, a mean) along one parameter: simulated points, bounds, and the truth if known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import pandas as pd

from adagrid._optional import require
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import recorded_family
from adagrid.results.run import Run
from adagrid.settings.quantities import Quantity

# Places along a cell at which its bound is drawn.
_PLACES = 33

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@final
@dataclass(frozen=True)
class ErrorCurve:
    """What the plot shows of active tiles or of cells in force, and of the simulated points, from left to right.

    Args:
        theta: simulated points, shape (points,).
        estimate: estimates of the quantity, shape (points,).
        point_bound: confidence limits at the points, on the side of the bound, shape (points,).
        place: parameters along each tile or cell, shape (tiles, places).
        bound: bounds there, shape (tiles, places).
        name: what they are called.
        quantity: what is bounded.
        confidence: confidence of the limits at the points; 1 if errors were computed, not simulated.
    """

    theta: FloatArray
    estimate: FloatArray
    point_bound: FloatArray
    place: FloatArray
    bound: FloatArray
    name: str
    quantity: Quantity
    confidence: float


def collect_error_curve(run: Run) -> ErrorCurve:
    """Collect the figures of a validation with one parameter.

    Raises:
        InvalidInputError: if the job is no validation or has several parameters.
    """
    results, quantity = run.results(), run.record.quantity
    if quantity is None or "theta1" in results:
        raise InvalidInputError(
            "The error curve is drawn of validations with one parameter; of those with more, draw the error surface."
        )
    results = results.sort_values("theta0", ignore_index=True)
    if "point0" in results:  # cells between points
        return _along_cells(run, quantity, results)
    theta, radius = results["theta0"].to_numpy(), results["radius0"].to_numpy()
    return ErrorCurve(
        theta=theta,
        estimate=quantity.value(results["tie_estimate"]),
        point_bound=quantity.value(results["tie_point_bound"]),
        place=np.stack([theta - radius, theta + radius], axis=1),
        bound=quantity.value(np.repeat(results["tie_bound"].to_numpy()[:, None], 2, axis=1)),
        name="tiles",
        quantity=quantity,
        confidence=1.0 if run.record.computed else 1 - run.settings.validation.delta,
    )


def _along_cells(run: Run, quantity: Quantity, cells: pd.DataFrame) -> ErrorCurve:
    """Collect the same of a job by interpolation; between its points the bound is the theorem's, place by place."""
    ids = cells[["point0", "point1"]].to_numpy()
    points = run.table("vertices")
    points = points[points["id"].isin(ids.ravel())].sort_values("theta0")
    by_id = points.set_index("id")
    ends, limits = (by_id.loc[ids.ravel(), name].to_numpy().reshape(-1, 2) for name in ("theta0", "tie_point_bound"))
    order = ends.argsort(axis=1)
    ends, limits = np.take_along_axis(ends, order, axis=1), np.take_along_axis(limits, order, axis=1)
    share = np.linspace(0.0, 1.0, _PLACES)
    place = ends[:, :1] + share * (ends[:, 1:] - ends[:, :1])
    bound = np.repeat(cells["tie_bound"].to_numpy()[:, None], _PLACES, axis=1)
    family = recorded_family(run.record.model.family_fields)
    if family is not None:
        height = np.log(limits) + family.log_partition(ends[..., None])
        log_bound = height[:, :1] + share * (height[:, 1:] - height[:, :1]) - family.log_partition(place[..., None])
        bound = np.minimum(bound, np.exp(log_bound))
    return ErrorCurve(
        theta=points["theta0"].to_numpy(),
        estimate=quantity.value(points["tie_estimate"]),
        point_bound=quantity.value(points["tie_point_bound"]),
        place=place,
        bound=quantity.value(bound),
        name="cells between points",
        quantity=quantity,
        confidence=1.0 if run.record.computed else 1 - float(points["level"].max()),
    )


def draw_error_curve(
    curve: ErrorCurve, *, truth: Callable[[FloatArray], FloatArray] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw an error curve with matplotlib.

    Args:
        curve: the figures.
        truth: the exact error, power or mean, as a function of the parameter, if it is known.
        ax: where to draw; a new figure if None.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    pyplot = require("matplotlib.pyplot", "plots")
    axes: Axes = ax if ax is not None else pyplot.subplots(figsize=(8, 4.5), layout="constrained")[1]
    quantity, unit = curve.quantity, curve.quantity.scale
    lowest = unit * min(float(quantity.value(end)) for end in (0.0, 1.0))
    side = "bound" if quantity.prefix == "tie" else f"{quantity.side} bound"
    for number, (place, bound) in enumerate(zip(curve.place, curve.bound, strict=True)):
        # with an edge, so that no gaps are seen between tiles
        axes.fill_between(place, lowest, unit * bound, color="#c6dbef", linewidth=0.8, zorder=0)
        label = None if number else f"{side} over {curve.name}"
        axes.plot(place, unit * bound, color="#08519c", linewidth=2, solid_capstyle="butt", label=label)
    first, last = float(curve.place.min()), float(curve.place.max())
    if truth is not None:
        fine = np.linspace(first, last, 500)
        axes.plot(fine, unit * truth(fine), color="#238b45", linewidth=2, label=f"exact {quantity.word}")
    beyond = unit * (curve.point_bound - curve.estimate)
    axes.errorbar(
        curve.theta,
        unit * curve.estimate,
        yerr=[np.maximum(-beyond, 0.0), np.maximum(beyond, 0.0)],
        fmt="o",
        color="#d94801",
        markersize=4,
        capsize=3,
        linewidth=1.2,
        label="computed" if curve.confidence == 1 else f"simulated, with {quantity.side} {curve.confidence:.3g} limit",
    )
    margin = 0.01 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    if quantity.side == "lower":
        axes.set_ylim(0, 105)
    else:  # room for the legend above
        axes.set_ylim(lowest, lowest + 1.3 * (unit * float(curve.bound.max()) - lowest))
    axes.set_xlabel("parameter (theta)")
    axes.set_ylabel(f"{quantity.noun} ({quantity.sign})" if quantity.sign else quantity.noun)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right" if quantity.side == "lower" else "upper left", frameon=False)
    return axes
