"""Makes the picture of the README: the z-test at 1.96 for true means from -2 to 0."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from scipy.stats import norm

import adagrid as ada
from adagrid.plots import collect_error_curve, draw_error_curve

mpl.use("Agg")
grid = ada.cartesian_grid([-2], [0], n=1, null_hypos=["theta0 <= 0"])
with ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid) as run:
    axes = draw_error_curve(collect_error_curve(run), truth=lambda theta: norm.cdf(theta - 1.96))
axes.set_xlabel("true mean, in standard errors")
axes.figure.savefig(Path(__file__).with_name("error_curve.png"), dpi=150)
