"""The figures behind the plot of the error along one parameter; and that it can be drawn."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import norm

import adagrid as ada
from adagrid.plots import collect_error_curve, draw_error_curve
from adagrid.testing import PandasStore
from tests.support import flat

mpl.use("Agg")


@pytest.fixture(scope="module", params=["classic", "interpolated"])
def run(request):
    grid = ada.cartesian_grid([-1], [0], n=3)
    targets = {"max_target": 0.004, "global_target": 0.01}
    return flat.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, method=request.param, db=PandasStore(), **targets)


def test_the_bound_is_above_the_truth_everywhere_and_never_above_what_is_certified(run):
    curve = collect_error_curve(run)
    assert (curve.bound >= norm.cdf(curve.place - 1.96)).all()
    assert (curve.bound <= run.bound * (1 + 1e-12)).all()
    assert curve.bound.max() == pytest.approx(run.bound, rel=1e-3)


def test_tiles_or_cells_cover_the_region(run):
    curve = collect_error_curve(run)
    assert curve.place.min() == pytest.approx(-1)
    assert curve.place.max() == pytest.approx(0)
    np.testing.assert_allclose(curve.place[1:, 0], curve.place[:-1, -1], atol=1e-12)
    assert (np.diff(curve.place, axis=1) > 0).all()


def test_it_draws(run):
    curve = collect_error_curve(run)
    axes = draw_error_curve(curve, truth=lambda theta: norm.cdf(theta - 1.96))
    labels = axes.get_legend_handles_labels()[1]
    assert len(labels) == 3
    assert len(axes.lines) >= len(curve.place)
    mpl.pyplot.close(axes.figure)


def test_power_is_bounded_from_below():
    grid = ada.cartesian_grid([0], [1], n=3, alternatives=["theta0 >= 0.2"])
    run = flat.validate(ada.ZTest(n=25), threshold=1.96, grid=grid, quantity="power", n_sims=4096, db=PandasStore())
    curve = collect_error_curve(run)
    assert (curve.bound.max(axis=1) <= norm.sf(1.96 - 5 * curve.place.min(axis=1))).all()
    axes = draw_error_curve(curve)
    assert axes.get_ylabel() == "power (%)"
    assert axes.get_legend_handles_labels()[1][0] == "lower bound over tiles"
    assert axes.get_ylim() == (0, 105)
    mpl.pyplot.close(axes.figure)


def test_means_are_in_their_own_units_and_the_legend_hides_no_bound():
    size = ada.GroupSequentialSize(3, threshold=2.0, futility=[0.0, 0.0])
    grid = ada.cartesian_grid([-1], [3], n=4)
    run = flat.validate(size, grid=grid, quantity="mean", n_sims=4096, db=PandasStore())
    curve = collect_error_curve(run)
    axes = draw_error_curve(curve)
    axes.figure.canvas.draw()
    assert axes.get_ylabel() == "mean of the statistic"
    assert axes.get_ylim()[0] == size.value_range[0]
    legend = axes.get_legend().get_window_extent().transformed(axes.transData.inverted())
    assert run.bound == pytest.approx(curve.bound.max(), rel=1e-12)
    assert run.bound < legend.y0
    mpl.pyplot.close(axes.figure)


def test_several_parameters_have_no_curve():
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["x1 <= x0"])
    run = flat.validate(ada.FisherExact(10), threshold=0.05, grid=grid, n_sims=64, db=PandasStore())
    with pytest.raises(ada.errors.InvalidInputError, match="one parameter"):
        collect_error_curve(run)
