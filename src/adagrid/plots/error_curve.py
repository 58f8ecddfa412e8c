"""The Type I Error along one parameter: simulated points, the bound over every tile, and the truth if it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from adagrid._optional import require
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.jobs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@final
@dataclass(frozen=True)
class ErrorCurve:
    """What the plot shows of each active tile, each of shape (tiles,), from left to right.

    Args:
        theta: simulated points.
        lower: left ends of the tiles.
        upper: right ends.
        estimate: fractions of simulations that rejected.
        point_bound: upper confidence limits at the points.
        bound: bounds over the tiles.
        delta: one minus the confidence.
    """

    theta: FloatArray
    lower: FloatArray
    upper: FloatArray
    estimate: FloatArray
    point_bound: FloatArray
    bound: FloatArray
    delta: float


def collect_error_curve(run: Run) -> ErrorCurve:
    """Collect the figures of a validation with one parameter.

    Raises:
        InvalidInputError: if the job is no validation or has several parameters.
    """
    results = run.results()
    if run.record.kind != "validate" or "theta1" in results:
        raise InvalidInputError("The error curve is drawn of validations with one parameter.")
    results = results.sort_values("theta0")
    theta, radius = results["theta0"].to_numpy(), results["radius0"].to_numpy()
    return ErrorCurve(
        theta=theta,
        lower=theta - radius,
        upper=theta + radius,
        estimate=results["tie_estimate"].to_numpy(),
        point_bound=results["tie_point_bound"].to_numpy(),
        bound=results["tie_bound"].to_numpy(),
        delta=float(run.settings["delta"]),
    )


def draw_error_curve(
    curve: ErrorCurve, *, truth: Callable[[FloatArray], FloatArray] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw an error curve with matplotlib.

    Args:
        curve: the figures.
        truth: the exact error, as a function of the parameter, if it is known.
        ax: where to draw; a new figure if None.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    pyplot = require("matplotlib.pyplot", "plots")
    axes: Axes = ax if ax is not None else pyplot.subplots(figsize=(8, 4.5), layout="constrained")[1]
    axes.fill_between(
        np.stack([curve.lower, curve.upper], axis=1).ravel(),
        np.repeat(100 * curve.bound, 2),
        color="#c6dbef",
        linewidth=0,
        zorder=0,
    )
    axes.hlines(
        100 * curve.bound, curve.lower, curve.upper, colors="#08519c", linewidth=2, label="bound over each tile"
    )
    if truth is not None:
        fine = np.linspace(curve.lower[0], curve.upper[-1], 500)
        axes.plot(fine, 100 * truth(fine), color="#238b45", linewidth=2, label="exact error")
    axes.errorbar(
        curve.theta,
        100 * curve.estimate,
        yerr=[np.zeros(len(curve.theta)), 100 * (curve.point_bound - curve.estimate)],
        fmt="o",
        color="#d94801",
        markersize=4,
        capsize=3,
        linewidth=1.2,
        label=f"simulated, with upper {1 - curve.delta:.0%} limit",
    )
    axes.set_xlim(curve.lower[0], curve.upper[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("parameter (theta)")
    axes.set_ylabel("Type I Error (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    return axes
