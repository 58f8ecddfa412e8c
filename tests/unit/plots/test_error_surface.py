"""The figures behind the plot of the error over two parameters, of whole jobs and of slices; and that it is drawn."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from scipy.special import expit, ndtri
from scipy.stats import norm

import adagrid as ada
from adagrid.plots import collect_error_surface, draw_error_surface
from adagrid.plots.error_surface import colour_steps
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.oracles import binomial_error, fisher_table

mpl.use("Agg")
END, LEVEL = 1.0, 0.05
NULL = ["theta1 <= theta0"]
TARGETS = {"max_target": 0.01, "global_target": 0.02}


def two_arms(n):
    return ada.cartesian_grid([-END, -END], [END, END], n=n, null_hypos=NULL)


@pytest.fixture(scope="module", params=["classic", "interpolated"])
def fisher(request):
    if request.param == "classic":
        return flat.validate(ada.FisherExact(10), threshold=LEVEL, grid=two_arms(12), db=PandasStore())
    design, grid = ada.FisherExact(10), two_arms(1)
    return flat.ada_validate(design, threshold=LEVEL, grid=grid, method="interpolated", db=PandasStore(), **TARGETS)


@pytest.fixture(scope="module", params=["classic", "interpolated"])
def many(request):
    """Two treatments against a control: three parameters, two hypotheses."""
    design, classic = ada.Dunnett(2), request.param == "classic"
    grid = ada.cartesian_grid([-0.5] * 3, [0.5] * 3, n=4 if classic else 1, null_hypos=design.null_hypos)
    if classic:
        return flat.validate(design, threshold=2.0, grid=grid, db=PandasStore())
    return flat.ada_validate(design, threshold=2.0, grid=grid, method="interpolated", db=PandasStore(), **TARGETS)


def areas(mesh):
    corners = mesh.place[mesh.triangle]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def test_the_bound_is_above_the_exact_error_and_never_above_what_is_certified(fisher):
    mesh = collect_error_surface(fisher).mesh
    assert (mesh.bound >= binomial_error(fisher_table(10) < LEVEL, mesh.place)).all()
    assert (mesh.bound <= fisher.bound * (1 + 1e-12)).all()
    assert mesh.bound.max() == pytest.approx(fisher.bound, rel=1e-2)


def test_triangles_cover_the_null_hypothesis_and_nothing_else(fisher):
    mesh = collect_error_surface(fisher).mesh
    assert areas(mesh).sum() == pytest.approx((2 * END) ** 2 / 2, rel=1e-9)
    assert (mesh.place[:, 1] <= mesh.place[:, 0] + 1e-12).all()
    np.testing.assert_allclose([mesh.place.min(axis=0), mesh.place.max(axis=0)], [[-END] * 2, [END] * 2], atol=1e-12)


@pytest.mark.parametrize("control", [-0.3, 0.11, 0.5])
def test_slices_cover_where_a_null_hypothesis_is_true(many, control):
    """All but the quarter in which both treatments are better than the control."""
    mesh = collect_error_surface(many, at={0: control}).mesh
    assert areas(mesh).sum() == pytest.approx(1 - (0.5 - control) ** 2, rel=1e-9)
    assert (mesh.place.min(axis=1) <= control + 1e-12).all()
    drift = (mesh.place - control) / np.sqrt(2)
    # one true hypothesis is enough; at its boundary a cell may lie beyond it
    single = np.where(mesh.place < control - 1e-9, norm.sf(2.0 - drift), 0.0).max(axis=1)
    assert (mesh.bound >= single).all()
    assert (mesh.bound <= many.bound * (1 + 1e-12)).all()


@pytest.mark.parametrize("treatment", [1, 2])
def test_slices_through_a_treatment(many, treatment):
    """Neither hypothesis is true where the control is below both: the fixed treatment and the other one."""
    value = 0.2  # not between tiles, where those of both sides are shown
    surface = collect_error_surface(many, at={treatment: value})
    assert surface.shown == (0, 3 - treatment)
    nowhere = 0.5 * (value + 0.5) - (value**2 - 0.25) / 2  # the integral of 0.5 - control up to the fixed mean
    assert areas(surface.mesh).sum() == pytest.approx(1 - nowhere, rel=1e-9)


def test_points_are_those_that_were_simulated(fisher):
    surface = collect_error_surface(fisher)
    rows = fisher.results() if fisher.record.method.name == "classic" else fisher.table("vertices")
    assert {tuple(point) for point in surface.point} <= {tuple(row) for row in rows[["theta0", "theta1"]].to_numpy()}
    assert surface.point_bound.max() == rows["tie_point_bound"].max()


def test_a_region_without_hypotheses_is_covered_whole():
    grid = ada.cartesian_grid([-END, -END], [END, END], n=2)
    run = flat.validate(ada.FisherExact(10), threshold=LEVEL, grid=grid, db=PandasStore())
    surface = collect_error_surface(run)
    assert areas(surface.mesh).sum() == pytest.approx((2 * END) ** 2)
    mpl.pyplot.close(draw_error_surface(surface).figure)


def texts(axes):
    return {text.get_text() for text in axes.findobj(mpl.text.Text)}


@pytest.mark.parametrize("level", [None, 0.01, 0.5])
def test_it_draws(fisher, level):
    surface = collect_error_surface(fisher)
    axes = draw_error_surface(surface, level=level)
    axes.figure.canvas.draw()
    shown = texts(axes)
    assert {"theta0: logit of the response probability", "response probability", "0.5"} <= shown
    assert {"simulated point", "boundary of a null hypothesis"} <= shown
    assert any("level" in text for text in shown) == (level is not None)
    other = next(child for child in axes.child_axes if child.get_xlabel() == "response probability")
    for tick in other.get_xticklabels():
        assert float(tick.get_text()) == pytest.approx(expit(tick.get_position()[0]))
    mpl.pyplot.close(axes.figure)


@pytest.fixture(scope="module")
def power():
    grid = ada.cartesian_grid([-END, -END], [END, END], n=4, alternatives=["theta1 >= theta0 + 1"])
    return flat.validate(ada.FisherExact(10), threshold=LEVEL, grid=grid, quantity="power", db=PandasStore())


def test_power_rises_with_the_colour_bar(power):
    axes = draw_error_surface(collect_error_surface(power), level=0.8)
    axes.figure.canvas.draw()
    shown = texts(axes)
    assert {"boundary of an alternative", "no alternative holds"} <= shown
    assert "certified lower bound on the power (%); level 80%" in shown
    least = min(1 - power.results()["tie_point_bound"])
    assert f"lowest lower limit: {100 * least:.3g}%" in shown
    bar = next(child for child in axes.child_axes if "certified" in child.get_ylabel())
    ticks = sorted((tick.get_window_extent().y0, float(tick.get_text())) for tick in bar.get_yticklabels())
    assert [value for _, value in ticks] == sorted(value for _, value in ticks)
    mpl.pyplot.close(axes.figure)


class LongNames(ada.ArrayModel):
    """A design with long names of its parameters."""

    family = ada.NormalUnknownVariance(5)
    reject_when = "large"

    def simulate(self, begin, end, theta, null_truth):
        return ndtri(self.uniforms(begin, end, 1)).T + 0 * theta[:, :1]


def test_long_labels_and_regions_that_end_at_the_hypothesis():
    """The legend is below a label of two lines, and does not explain a grey that is not there."""
    grid = ada.cartesian_grid([-0.2, -0.6], [0, -0.4], n=2, null_hypos=["theta0 <= 0"])
    run = flat.validate(LongNames(), threshold=2.8, grid=grid, n_sims=64, db=PandasStore())
    axes = draw_error_surface(collect_error_surface(run))
    axes.figure.canvas.draw()
    assert "\n" in axes.get_xlabel()
    assert axes.get_legend().get_window_extent().y1 < axes.xaxis.label.get_window_extent().y0
    assert "no null hypothesis is true" not in texts(axes)
    mpl.pyplot.close(axes.figure)


def test_slices_say_where_they_lie(many):
    figure, axes = mpl.pyplot.subplots()
    assert draw_error_surface(collect_error_surface(many, at={0: 0.25}), ax=axes) is axes
    assert axes.get_title() == "at theta0=0.25"
    assert axes.get_xlabel() == "theta1: means of normal observations"
    assert "response probability" not in texts(axes)
    mpl.pyplot.close(figure)


@pytest.mark.parametrize(("top", "level"), [(0.02, 0.025), (0.025, 0.025), (0.026, 0.025), (0.9, 0.025), (0.03, None)])
def test_colours_cover_all_bounds_and_change_at_the_level(top, level):
    steps, below = colour_steps(top, level)
    assert steps[0] == 0
    assert (np.diff(steps) > 0).all()
    assert steps[-1] >= top * (1 - 1e-12)
    assert len(steps) <= 12
    if level is not None:
        assert steps[below] == pytest.approx(level, rel=1e-12)
        assert (len(steps) - 1 > below) == (top > level)


def test_wrong_slices(many):
    invalid = ada.errors.InvalidInputError
    with pytest.raises(invalid, match="this job has 3: name the values of 1"):
        collect_error_surface(many)
    with pytest.raises(invalid, match="got theta0=0, theta1=0"):
        collect_error_surface(many, at={0: 0.0, 1: 0.0})
    for wrong in ({3: 0.0}, {0: 0.7}, {0: float("nan")}):
        with pytest.raises(invalid, match="theta0 from -0.5 to 0.5"):
            collect_error_surface(many, at=wrong)
    with pytest.raises(invalid, match="No null hypothesis is true anywhere at theta0=-0.5"):
        collect_error_surface(many, at={0: -0.5})


def test_other_jobs_have_no_surface():
    line = ada.cartesian_grid([-1], [0], n=2)
    one = flat.validate(ada.ZTest(), threshold=1.96, grid=line, n_sims=64, db=PandasStore())
    with pytest.raises(ada.errors.InvalidInputError, match="error curve"):
        collect_error_surface(one)
    calibration = flat.calibrate(ada.ZTest(), grid=line, n_sims=64, db=PandasStore())
    with pytest.raises(ada.errors.InvalidInputError, match="validations"):
        collect_error_surface(calibration)


def test_a_level_is_a_probability_and_matplotlib_may_be_missing(fisher, monkeypatch):
    surface = collect_error_surface(fisher)
    with pytest.raises(ada.errors.InvalidInputError, match="level=2.5"):
        draw_error_surface(surface, level=2.5)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ada.errors.MissingExtraError, match=r"adagrid\[plots\]"):
        draw_error_surface(surface)
