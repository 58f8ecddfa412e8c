"""Makes the picture of guarantee.md: what the two bounds cost on intervals of the same width, for a z-test at 2.5%."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq

from adagrid import Normal
from adagrid.bounds import interpolated_bound, tilt_bound

mpl.use("Agg")
FAMILY, ERROR, COST = Normal(), 0.025, 0.0005


def tilt_cost(width):
    """Return the bound over intervals from the error at their centres, minus that error."""
    ends = np.reshape(width, (-1, 1, 1)) * np.array([[-0.5], [0.5]])
    return tilt_bound(FAMILY, np.zeros((len(ends), 1)), ends, ERROR) - ERROR


def interpolated_cost(width):
    """Return the bound over intervals from the same error at both ends, minus that error."""
    ends = np.reshape(width, (-1, 1, 1)) * np.array([[-0.5], [0.5]])
    return interpolated_bound(FAMILY, ends, np.full(ends.shape[:2], ERROR)) - ERROR


def draw(axes, cost, colour, name, slope, label_at, triangle):
    """Draw a bound's cost: the curve, the width at which it reaches COST, and its slope as a triangle."""
    widths = np.geomspace(*axes.get_xlim(), 300)
    axes.plot(widths, cost(widths), color=colour, linewidth=2.2)
    axes.text(*label_at, name, color=colour, fontsize=11, linespacing=1.4)
    width = brentq(lambda width: cost(width)[0] - COST, 1e-4, 2.0)
    axes.vlines(width, axes.get_ylim()[0], COST, colors=colour, linewidth=1, linestyles=(0, (2, 2)))
    axes.plot(width, COST, "o", color=colour, markersize=7, zorder=3)
    axes.annotate(
        f"{width:.3g} wide",
        (width, axes.get_ylim()[0]),
        xytext=(6, 8),
        textcoords="offset points",
        color=colour,
        weight="bold",
    )
    left, right = triangle
    low, high = cost(np.array(triangle)) / 1.7
    axes.fill([left, right, right], [low, low, high], facecolor=colour, alpha=0.15, linewidth=0)
    axes.plot([left, right, right], [low, low, high], color=colour, linewidth=1)
    axes.annotate(
        f"slope {slope}", (right, (low * high) ** 0.5), xytext=(5, -4), textcoords="offset points", color=colour
    )


figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
axes.set(xscale="log", yscale="log", xlim=(4e-3, 2), ylim=(2e-8, 1))
axes.axhline(COST, color="0.55", linewidth=1, linestyle=(0, (5, 3)), zorder=0)
axes.annotate(f"cost {COST}", (2, COST), xytext=(-2, -12), textcoords="offset points", color="0.35", ha="right")
draw(axes, tilt_cost, "#d94801", "tilt bound,\nerror known at the centre", 1, (0.016, 6e-3), (0.06, 0.12))
name = "interpolated bound,\nerror known at both ends"
draw(axes, interpolated_cost, "#08519c", name, 2, (0.02, 7e-5), (0.06, 0.12))
axes.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
axes.set_xlabel("width of the interval, in standard errors")
axes.set_ylabel("bound over the interval minus 0.025")
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(Path(__file__).with_name("bounds.png"), dpi=150)
