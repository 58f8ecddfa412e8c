"""Makes the picture of hypotheses.md: how tiles lie to the null of a non-inferiority trial, at two depths."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch, Rectangle

import adagrid as ada

mpl.use("Agg")
NULL = ada.RiskDifference(treatment=1, control=0, margin=-0.2)
COLOURS = {"null": "#9ecae1", "undecided, counts as null": "#08519c", "pruned": "#f0f0f0"}


def draw(axes, depth):
    """Draw the tiles of a grid and the boundary."""
    grid = ada.cartesian_grid([-2, -2], [2, 2], n=2, null_hypos=[NULL], depth=depth)
    sets = ((grid.tiles, None), (grid.retired.take(grid.n_children == 0), "pruned"))
    for tiles, name in sets:
        sides = NULL.side(tiles.theta - tiles.radius, tiles.theta + tiles.radius)
        for centre, radius, side in zip(tiles.theta, tiles.radius, sides, strict=True):
            colour = COLOURS[name or ("null" if side == 1 else "undecided, counts as null")]
            box = Rectangle(centre - radius, *(2 * radius), facecolor=colour, edgecolor="white", linewidth=0.6)
            axes.add_patch(box)
    x = np.linspace(-2, 2, 400)
    theta = np.stack(np.meshgrid(x, x), axis=-1)
    axes.contour(x, x, NULL.dist(theta), levels=[0], colors="#d94801", linewidths=2)
    axes.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xlabel="theta0: logit on control", title=f"depth={depth}")


figure, panels = plt.subplots(1, 2, figsize=(8.6, 4.8), layout="constrained", sharey=True)
for axes, depth in zip(panels, (4, 8), strict=True):
    draw(axes, depth)
panels[0].set_ylabel("theta1: logit on treatment")
handles = [Patch(facecolor=colour, edgecolor="0.7", label=name) for name, colour in COLOURS.items()]
figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
figure.savefig(Path(__file__).with_name("hypotheses.png"), dpi=110)
