"""The bound on the Type I Error (power, a mean) over two parameters, with simulated points and null boundaries."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from scipy.special import logit

from adagrid._optional import require
from adagrid._plain import plain
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial, Family, recorded_family
from adagrid.grid import NullHypothesis
from adagrid.grid.clip import crossings, piece_vertices
from adagrid.grid.columns import matrix
from adagrid.grid.hypotheses import split_half_spaces
from adagrid.plots._mesh import Mesh, lattice, merge_nodes, slice_polytopes
from adagrid.results.run import Run
from adagrid.runtime.stored_grid import read_hypotheses
from adagrid.settings.quantities import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# About how many triangles a picture is made of, and into how many the side of one piece of a cell is cut at most.
_TRIANGLES, _SIDE = 40_000, 64
# Steps of colour up to the level, and at most about so many above it or without a level.
_BELOW, _ABOVE, _ALL = 5, 4, 8
# The colour of what belongs to no null hypothesis.
_NOWHERE = "#f0f0f0"
# The most points of which each is marked.
_MARKED = 1000
# What hypotheses are called, by the side of the bound.
_HYPOTHESES = {
    "upper": ("a null hypothesis", "null hypothesis is true"),
    "lower": ("an alternative", "alternative holds"),
}
# Places per side at which hypotheses are evaluated, to draw their boundaries.
_FINE = 400
# Response probabilities that may be shown beside logits.
_RATES = np.array([0.001, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])


@final
@dataclass(frozen=True)
class ErrorSurface:
    """What the plot shows of active tiles or of cells in force.

    Args:
        mesh: bounds at the nodes of triangles.
        point: simulated points that lie on what is shown, shape (points, 2).
        point_bound: upper confidence limits at them, shape (points,).
        lower: lower corner of the box around the region, shape (dim,).
        upper: upper corner, shape (dim,).
        hypotheses: the null hypotheses, or the alternatives.
        quantity: what is bounded; bounds and limits here are of the probability of its event.
        shown: numbers of the two parameters.
        at: values of all others, by number.
        coordinates: what the parameters are, in words.
        logits: whether they are logits of response probabilities.
        exact: whether errors at the points were computed, not simulated.
    """

    mesh: Mesh
    point: FloatArray
    point_bound: FloatArray
    lower: FloatArray
    upper: FloatArray
    hypotheses: tuple[NullHypothesis, ...]
    quantity: Quantity
    shown: tuple[int, int]
    at: Mapping[int, float]
    coordinates: str
    logits: bool
    exact: bool


def collect_error_surface(run: Run, at: Mapping[int, float] | None = None) -> ErrorSurface:
    """Collect the figures of a validation with two parameters, or of a slice of one with more.

    Of a tile the bound is the same all over; between the points of a job by interpolation it is the theorem's, place
    by place. A slice that runs between tiles or cells shows those of both sides, with the higher bound in front.

    Args:
        run: the job.
        at: where it has more than two parameters, the values of all but two, by their numbers: {0: -1.5}.

    Raises:
        InvalidInputError: if the job is no validation, its region is not simulated, it does not have two parameters
            besides those of `at`, or a null hypothesis is of a class that this process does not know.
    """
    record, quantity = run.record, _checked_quantity(run)
    lower, upper = np.asarray(record.theta_min, float), np.asarray(record.theta_max, float)
    values = {} if at is None else dict(at)
    _check(run, values, lower, upper)
    shown = [i for i in range(len(lower)) if i not in values]
    hypotheses = read_hypotheses(run.table("null_hypos"))
    family = recorded_family(record.model.family_fields)
    results = run.results()
    if "point0" in results:  # cells between points
        points = run.table("vertices")
        points = points[points["id"].isin(matrix(results, "point").ravel())]
        mesh = _over_cells(results, points, family, shown, values)
    else:
        points = results
        mesh = _over_tiles(results, hypotheses, shown, values)
    if not len(mesh.triangle):
        raise InvalidInputError(f"No null hypothesis is true anywhere at {_words(values)}. Use other values.")
    theta = matrix(points, "theta").astype(float)
    near = [np.abs(theta[:, i] - value) <= 1e-9 * (upper[i] - lower[i]) for i, value in values.items()]
    points, theta = (points, theta) if not near else (points[np.all(near, axis=0)], theta[np.all(near, axis=0)])
    return ErrorSurface(
        mesh=mesh,
        point=theta[:, shown],
        point_bound=points["tie_point_bound"].to_numpy(float),
        lower=lower,
        upper=upper,
        hypotheses=hypotheses,
        quantity=quantity,
        shown=(shown[0], shown[1]),
        at=values,
        coordinates=record.model.coordinates,
        logits=isinstance(family, Binomial),
        exact=record.computed,
    )


def _checked_quantity(run: Run) -> Quantity:
    if run.record.quantity is None:
        raise InvalidInputError("The error surface is drawn of validations; a calibration has no bound but its level.")
    return run.record.quantity


def _check(run: Run, values: Mapping[int, float], lower: FloatArray, upper: FloatArray) -> None:
    if not run.covered:
        raise InvalidInputError(f"{run.db}: there is no surface before the region is simulated. Continue the job.")
    dim = len(lower)
    unknown = [i for i in values if i not in range(dim)]
    outside = [i for i, value in values.items() if i not in unknown and not lower[i] <= value <= upper[i]]
    if unknown or outside:
        region = ", ".join(f"theta{i} from {lower[i]:g} to {upper[i]:g}" for i in range(dim))
        raise InvalidInputError(
            f"at= names parameters of the region ({region}) and values in it; got {_words(values)}."
        )
    if dim == 1:
        raise InvalidInputError("The error surface needs two parameters; of this job with one, draw the error curve.")
    if dim - len(values) != 2:
        raise InvalidInputError(
            f"The error surface is drawn over two parameters, and this job has {dim}: name the values of "
            f"{dim - 2} of them, such as at={dict.fromkeys(range(dim - 2), 0.0)}; got {_words(values)}."
        )


def _words(values: Mapping[int, float]) -> str:
    return ", ".join(f"theta{i}={value:g}" for i, value in values.items()) or "none"


def _over_cells(
    cells: pd.DataFrame,
    points: pd.DataFrame,
    family: Family | None,
    shown: list[int],
    values: Mapping[int, float],
) -> Mesh:
    """Cut cells into triangles small enough to show how the bound varies within them."""
    ids = matrix(cells, "point").astype(np.uint64)
    by_id = points.set_index("id").loc[ids.ravel()]
    vertices = matrix(by_id, "theta").astype(float).reshape(*ids.shape, -1)
    limit = by_id["tie_point_bound"].to_numpy(float).reshape(ids.shape)
    owner, corners = slice_polytopes(list(vertices), shown, values)
    side = int(np.clip(np.sqrt(_TRIANGLES / max(len(owner), 1)), 1, _SIDE))
    nodes, small = lattice(side)
    weights = np.einsum("nk,tkv->tnv", nodes, np.reshape(corners, (-1, 3, ids.shape[1])))
    place = np.einsum("tnv,tvd->tnd", weights, vertices[owner])
    bound = np.repeat(cells["tie_bound"].to_numpy(float)[owner, None], len(nodes), axis=1)
    if family is not None:
        height = np.log(np.maximum(limit, np.finfo(float).tiny)) + family.log_partition(vertices)
        log_bound = np.einsum("tnv,tv->tn", weights, height[owner]) - family.log_partition(place)
        bound = np.minimum(bound, np.exp(log_bound))
    triangle = small + len(nodes) * np.arange(len(owner))[:, None, None]
    mesh = Mesh(place[..., shown].reshape(-1, 2), bound.ravel(), triangle.reshape(-1, 3))
    return merge_nodes(mesh, np.repeat(owner, len(nodes)))


def _over_tiles(
    tiles: pd.DataFrame, hypotheses: tuple[NullHypothesis, ...], shown: list[int], values: Mapping[int, float]
) -> Mesh:
    """Cut tiles, or the pieces of them on their side of null boundaries, into triangles."""
    theta, radius = (matrix(tiles, name).astype(float) for name in ("theta", "radius"))
    lower, upper = theta - radius, theta + radius
    cutting, _ = split_half_spaces(hypotheses)
    planes, truth = list(cutting.values()), matrix(tiles, "null_truth").astype(bool)[:, list(cutting)]
    true, false = crossings(lower, upper, planes)
    high = np.array(list(itertools.product((False, True), repeat=theta.shape[1])))
    polytopes = list(np.where(high, upper[:, None, :], lower[:, None, :]))
    for row in np.flatnonzero(np.any(true & false, axis=1)):
        one = slice(row, row + 1)
        share = piece_vertices(lower[one], upper[one], planes, truth[one])
        polytopes[row] = lower[row] + share * (upper[row] - lower[row])
    owner, corners = slice_polytopes(polytopes, shown, values)
    place = [weights @ polytopes[number][:, shown] for number, weights in zip(owner, corners, strict=True)]
    bound = np.repeat(tiles["tie_bound"].to_numpy(float)[owner], 3)
    mesh = Mesh(np.reshape(place, (-1, 2)), bound, np.arange(3 * len(owner)).reshape(-1, 3))
    return merge_nodes(mesh, np.repeat(owner, 3))


def draw_error_surface(surface: ErrorSurface, *, level: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw an error surface with matplotlib.

    Args:
        surface: the figures.
        level: the level that the design should keep, the least power that it should have, or the largest mean: where
            the bound does not show that, it is orange, and a line shows where that begins.
        ax: where to draw; a new figure if None.

    Raises:
        InvalidInputError: if the level is not between 0 and 1, or outside the statistic's range.
        MissingExtraError: if matplotlib is not installed.
    """
    quantity = surface.quantity
    least, most = sorted(float(quantity.value(end)) for end in (0.0, 1.0))
    if level is not None and not least < level < most:
        raise InvalidInputError(f"{least:g} < level < {most:g} must hold; got level={level}.")
    pyplot = require("matplotlib.pyplot", "plots")
    axes: Axes = ax if ax is not None else pyplot.subplots(figsize=(8.2, 6.2), layout="constrained")[1]
    _draw_bounds(axes, surface, level)
    boundaries = _draw_boundaries(axes, surface)
    handles = [*boundaries, *_draw_points(axes, surface)]
    _label(axes, surface)
    if boundaries:
        patches = require("matplotlib.patches", "plots")
        handles.append(patches.Patch(facecolor=_NOWHERE, edgecolor="0.7", label=f"no {_HYPOTHESES[quantity.side][1]}"))
    # below the axis label, whatever the size of the figure: the distance is in units of the font
    below = 4.2 + 1.5 * axes.get_xlabel().count("\n")
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=below, ncols=2, frameon=False,
        fontsize="small", handletextpad=0.6,
    )  # fmt: skip
    return axes


def colour_steps(top: float, level: float | None) -> tuple[FloatArray, int]:
    """Return the bounds at which colours change, from 0 to at least `top`, and how many steps are up to the level."""
    if level is None:
        ticker = require("matplotlib.ticker", "plots")
        steps = ticker.MaxNLocator(_ALL, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, 100 * top) / 100
        return steps, len(steps) - 1
    step = level / _BELOW
    above = int(np.ceil((top - level) / step - 1e-9))
    width = int(np.ceil(above / _ABOVE)) if above > 0 else 1
    more = level + step * width * np.arange(1, np.ceil(above / width) + 1)
    return np.concatenate([np.linspace(0.0, level, _BELOW + 1), more]), _BELOW


def _draw_bounds(axes: Axes, surface: ErrorSurface, asked: float | None) -> None:
    """Fill contours, blue up to the level and orange above, and say on a colour bar what they mean."""
    mesh, quantity = surface.mesh, surface.quantity
    level = None if asked is None else quantity.probability(asked)
    maps = require("matplotlib", "plots").colormaps
    steps, below = colour_steps(float(mesh.bound.max()), level)
    above = len(steps) - 1 - below
    blue, orange = maps["Blues"](np.linspace(0.08, 0.78, below)), maps["Oranges"](np.linspace(0.4, 0.85, above))
    triangles = require("matplotlib.tri", "plots").Triangulation(*mesh.place.T, mesh.triangle)
    filled = axes.tricontourf(triangles, 100 * mesh.bound, levels=100 * steps, colors=[*blue, *orange])
    axes.set_facecolor(_NOWHERE)
    figure: Any = axes.figure
    # as high as the axes, to the right of response probabilities
    beside = axes.inset_axes((1.2 if surface.logits else 1.05, 0, 0.045, 1))
    bar = figure.colorbar(filled, cax=beside, ticks=100 * steps)
    unit, sign = quantity.scale, quantity.sign
    if quantity.side == "lower":
        bar.ax.invert_yaxis()  # colours are those of its complement
    bar.set_ticklabels([f"{unit * quantity.value(step):.3g}" for step in steps])
    side = "bound" if quantity.prefix == "tie" else f"{quantity.side} bound"
    told = f"certified {side} on the {quantity.noun}{f' ({sign})' if sign else ''}"
    if level is None or asked is None:
        bar.set_label(told)
        return
    bar.set_label(f"{told}; level {unit * asked:.3g}{sign}")
    bar.ax.axhline(100 * level, color="black", linewidth=2.5)
    bar.ax.get_yticklabels()[below].set_weight("bold")
    higher = mesh.bound[mesh.triangle] > level
    if (higher.any(axis=1) & ~higher.all(axis=1)).any():
        axes.tricontour(triangles, 100 * mesh.bound, levels=[100 * level], colors="black", linewidths=1)


def _draw_boundaries(axes: Axes, surface: ErrorSurface) -> list[Any]:
    """Draw where null hypotheses begin, and return what the legend shows."""
    lines = require("matplotlib.lines", "plots")
    first, second = surface.shown
    x, y = (np.linspace(surface.lower[i], surface.upper[i], _FINE) for i in surface.shown)
    theta = np.empty((_FINE, _FINE, len(surface.lower)))
    for i, value in surface.at.items():
        theta[..., i] = value
    theta[..., first], theta[..., second] = np.meshgrid(x, y)
    style = {"color": "#4d4d4d", "linewidth": 1.6, "linestyle": (0, (5, 2))}
    handles = []
    for hypothesis in surface.hypotheses:
        distance = hypothesis.dist(theta)
        if distance.min() < 0 < distance.max():
            axes.contour(
                x, y, distance, levels=[0], colors=style["color"], linewidths=1.6, linestyles=[style["linestyle"]]
            )
            handles = [lines.Line2D([], [], label=f"boundary of {_HYPOTHESES[surface.quantity.side][0]}", **style)]
    return handles


def _draw_points(axes: Axes, surface: ErrorSurface) -> list[Any]:
    """Mark the simulated points, unless they would hide the bounds, and the worst; return what the legend shows."""
    if not len(surface.point):
        return []
    x, y = surface.point.T
    worst = surface.point_bound.argmax()
    quantity = surface.quantity
    least = quantity.side == "lower"
    if surface.exact:
        name = f"{'least' if least else 'largest'} {quantity.word}"
    else:
        name = "lowest lower limit" if least else "highest upper limit"
    value = f"{quantity.scale * quantity.value(surface.point_bound[worst]):.3g}{quantity.sign}"
    star = axes.scatter(
        x[worst], y[worst], s=190, marker="*", color="#ffd92f", edgecolors="black", linewidths=0.9, zorder=4,
        clip_on=False, label=f"{name}: {value}",
    )  # fmt: skip
    if len(x) > _MARKED:
        return [star]
    points = axes.scatter(
        x, y, s=16, color="black", edgecolors="white", linewidths=0.5, zorder=3, clip_on=False,
        label="computed point" if surface.exact else "simulated point",
    )  # fmt: skip
    return [points, star]


def _label(axes: Axes, surface: ErrorSurface) -> None:
    """Name the axes, with response probabilities beside logits, and say where a slice lies."""
    first, second = surface.shown
    axes.set_box_aspect(1)
    x, y = ((surface.lower[i], surface.upper[i]) for i in surface.shown)
    axes.set(xlim=x, ylim=y)
    what = "logit of the response probability" if surface.logits else plain(surface.coordinates).replace("$", r"\$")
    axes.set_xlabel(textwrap.fill(f"theta{first}: {what}", 60))
    axes.set_ylabel(textwrap.fill(f"theta{second}: {what}", 60))
    title = f"at {_words(surface.at)}" if surface.at else ""
    axes.set_title(title, fontsize="medium", y=1.0, pad=36 if surface.logits else 8)  # above the probabilities
    if not surface.logits:
        return
    others = axes.secondary_xaxis("top"), axes.secondary_yaxis("right")
    for i, other in zip(surface.shown, others, strict=True):
        rates = _RATES[(logit(_RATES) >= surface.lower[i]) & (logit(_RATES) <= surface.upper[i])]
        other.set_ticks(logit(rates), [f"{rate:g}" for rate in rates])
        other.tick_params(labelsize="small", length=3)
    others[0].set_xlabel("response probability", fontsize="small")
    others[1].set_ylabel("response probability", fontsize="small")
