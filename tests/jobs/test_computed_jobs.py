"""Designs that compute their errors: planned from these, simulated nowhere, and exact at every point."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import bdtr, expit

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.methods.cells.calibration import CellCalibration
from adagrid.methods.cells.validation import CellValidation
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.oracles import binomial_error

N = 12
TABLE = ada.PooledZ(N).table(N, N)
DESIGN = ada.DecisionTable.of(ada.PooledZ(N))
CORNERS = ([-1, -1], [1, 1])
NULL = ada.cartesian_grid(*CORNERS, n=1, null_hypos=["theta1 <= theta0"])
JOBS = {
    "error": (NULL, {"threshold": 1.96}),
    "power": (
        ada.cartesian_grid(*CORNERS, n=1, alternatives=["theta1 >= theta0 + 1"]),
        {"threshold": 1.0, "quantity": "power"},
    ),
    "curved": (
        ada.cartesian_grid(*CORNERS, n=2, null_hypos=[ada.RiskDifference(margin=0.1)], depth=3),
        {"threshold": 1.96},
    ),
    "threshold": (NULL, {"alpha": 0.05}),
}


def run(name, design=DESIGN, grid=None, **settings):
    """Run one of the jobs, with nothing that could simulate."""
    own_grid, own = JOBS[name]
    start = flat.ada_calibrate if "alpha" in own else flat.ada_validate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "count", None)
        patch.setattr(Simulator, "smallest", None)
        more = {"db": PandasStore(), **own, **settings}
        job = start(design, grid=own_grid if grid is None else grid, method="interpolated", progress=False, **more)
    job.verify()
    return job


def tables(job):
    frames = {name: job.table(name) for name in ("points", "vertices", "cells")} | {"results": job.results()}
    return {name: frame.drop(columns="time") for name, frame in frames.items()}


def assert_same(one, other):
    for name, frame in tables(one).items():
        pd.testing.assert_frame_equal(frame, tables(other)[name], obj=name)


@pytest.fixture(scope="module", params=list(JOBS))
def case(request):
    return request.param, run(request.param)


def test_nothing_is_simulated(case):
    _, job = case
    assert job.converged
    assert job.guarantee == "certified"
    assert job.table("coordinations")["kind"].tolist() == ["pilot", "pass"]
    assert not len(job.table("pilot"))
    assert not job.table("vertices")["n_sims"].any()
    assert not job.results()["n_sims"].any()
    assert job.counts()["simulations"] == 0
    assert "2 rounds, errors are computed: no simulations" in job.summary()
    assert "certified: errors are sums over all outcomes" in job.summary()


@pytest.mark.parametrize("case", ["error", "power", "curved"], indirect=True, scope="module")
def test_computed_at_points_and_enclosed_between_them(case):
    """Sums over outcomes are what points have; all over a cell they are between its two bounds, for certain."""
    name, job = case
    rejects = job.settings.validation.threshold < TABLE

    def truth(theta):
        error = binomial_error(rejects, theta)
        return 1 - error if name == "power" else error

    points, cells = job.table("vertices").set_index("id"), job.results()
    np.testing.assert_allclose(points["tie_estimate"], truth(points[["theta0", "theta1"]].to_numpy()), rtol=1e-7)
    assert not points["level"].any()
    assert "(for certain)" in job.summary()
    corners = points.loc[cells[["point0", "point1", "point2"]].to_numpy().ravel(), ["theta0", "theta1"]]
    vertices = corners.to_numpy().reshape(-1, 3, 2)
    for weights in np.random.default_rng(0).dirichlet(np.full(3, 0.7), 20):
        there = truth(np.einsum("v,cvd->cd", weights, vertices))
        assert (there <= cells["tie_bound"]).all()
        assert (there >= cells["tie_lower"]).all()
    assert cells["total_cost"].max() <= 0.005


@pytest.mark.parametrize(("design", "alpha"), [(ada.PooledZ(N), 0.05), (ada.FisherExact((9, 14)), 0.025)])
def test_no_larger_threshold_has_room(design, alpha):
    """The error is at most alpha; with the next threshold it is above alpha less what the size of cells may cost."""
    job = run("threshold", ada.DecisionTable.of(design), alpha=alpha)
    assert job.converged
    table = design.direction * design.table(*design.family.patients)
    boundary = np.repeat(np.linspace(-1, 1, 401)[:, None], 2, axis=1)
    found = design.direction * job.threshold
    assert binomial_error(table < found, boundary).max() <= alpha
    following = table[table >= found].min()
    assert binomial_error(table <= following, boundary).max() > alpha - 0.001


def test_no_threshold_at_all():
    """Where even the most extreme statistic is too frequent, nothing rejects, and that is certain, too."""
    always = ada.DecisionTable(1, pd.DataFrame({"responders0": [0, 1], "statistic": [1.0, 1.0]}), reject_when="large")
    job = run("threshold", always, ada.cartesian_grid([-1], [1], n=1))
    assert job.converged
    assert job.threshold >= 1.0


def test_neither_seeds_nor_packets_change_anything(case):
    name, job = case
    assert_same(run(name, model_seed=7, packet_size=5), job)


def test_a_stage_that_was_begun_is_finished(case, monkeypatch):
    """Stopped before its cells are certified, a job that is run again finds what it would have found."""
    name, whole = case
    store = PandasStore()
    with monkeypatch.context() as patch:
        patch.setattr(CellCalibration if name == "threshold" else CellValidation, "certify", None)
        with pytest.raises(TypeError):
            run(name, db=store)
    again = run(name, db=store)
    assert again.converged
    assert_same(again, whole)


def test_smaller_targets_refine_what_is_certified():
    """Cells that miss them are bisected; vertices keep their errors, and nothing is simulated either."""
    store = PandasStore()
    first = run("error", db=store)
    bound, cost = first.bound, first.results()["total_cost"].max()
    job = run("error", db=store, overrides={"max_target": 1e-4, "global_target": 2e-4})
    assert job.converged
    assert job.table("coordinations")["kind"].tolist()[:3] == ["pilot", "pass", "pass"]
    assert not job.table("vertices")["n_sims"].any()
    assert job.results()["total_cost"].max() <= 2e-4 < cost
    assert binomial_error(TABLE > 1.96, np.zeros(2)) <= job.bound <= bound
    assert job.results()["volume"].sum() == pytest.approx(NULL.tiles.volume.sum(), rel=1e-9)


class Arm(ada.Model):
    """One arm of 12, more responders than the threshold reject."""

    family = ada.Binomial(N)
    reject_when = "large"

    def draw(self, key):
        return jax.random.uniform(key, (N,))

    def statistic(self, draw, theta, null_truth):
        return jnp.sum(draw < jax.nn.sigmoid(theta[0]))


class Untold(Arm):
    """The same, which could compute its errors and does not."""

    def exact_error(self, theta, null_truth, threshold):
        return None

    def exact_threshold(self, theta, null_truth, level):
        return None


def test_a_design_that_cannot_tell_is_simulated():
    """None is as good as no exact_error: the same job, row for row, which says what it simulated."""
    jobs = [
        flat.ada_validate(
            design, threshold=6.5, grid=ada.cartesian_grid([-1.5], [-0.5], n=1), method="interpolated",
            db=PandasStore(), max_target=0.01, global_target=0.02, progress=False,
        )
        for design in (Arm(), Untold())
    ]  # fmt: skip
    assert_same(*jobs)
    assert len(jobs[1].table("pilot"))
    assert f"{jobs[1].counts()['simulations']:,} simulations" in jobs[1].summary()
    assert "for certain" not in jobs[1].summary()


class Sometimes(Arm):
    """The same, which computes its errors at some parameters only."""

    def exact_error(self, theta, null_truth, threshold):
        return binomial_error_of(theta, threshold) if (theta < -0.6).all() else None


def binomial_error_of(theta, threshold):
    """Return the probabilities of more responders than a threshold."""
    return 1 - bdtr(np.floor(threshold), N, expit(theta[:, 0]))


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_errors_are_computed_everywhere_or_nowhere(method):
    # the first tiles are where errors are computed
    grid = ada.cartesian_grid([-1.5], [-0.5], n=1)
    with pytest.raises(ada.errors.ModelError, match="everywhere or nowhere"):
        flat.ada_validate(Sometimes(), threshold=6.5, grid=grid, method=method, max_target=1e-4, global_target=1e-4)


def test_one_of_both_is_not_enough_for_a_calibration():
    """A threshold that is computed can be checked only where errors are, too."""
    run = flat.ada_calibrate(
        Sometimes(), alpha=0.05, grid=ada.cartesian_grid([-1.5], [-1], n=1), n_steps=1, init_sims=512, max_sims=512
    )
    assert not run.record.computed
    assert run.guarantee == "search only" or run.is_fixed
    assert "for certain" not in run.summary()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.full(1, np.nan), "probabilities, between 0 and 1, but it returned nan at theta="),
        (np.full(1, 1.1), "probabilities, between 0 and 1, but it returned 1.1"),
        (np.full(1, -0.1), "probabilities, between 0 and 1, but it returned -0.1"),
        (np.full(2, 0.1), r"one number per point, shape \(1,\), but returned float64 of shape \(2,\)"),
        (np.full(1, "p"), "one number per point"),
    ],
)
def test_what_a_design_computes_is_checked(returned, message):
    class Wrong(Arm):
        def exact_error(self, theta, null_truth, threshold):
            return returned

    with pytest.raises(ada.errors.ModelError, match=message):
        flat.ada_validate(Wrong(), threshold=6.5, grid=ada.cartesian_grid([-1.5], [-0.5], n=1))


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_errors_that_simulations_contradict(method):
    """One patient too many: the computed error is far below the simulated one."""

    class OffByOne(Arm):
        def exact_error(self, theta, null_truth, threshold):
            return binomial_error_of(theta, threshold + 1)

        def exact_threshold(self, theta, null_truth, level):
            return np.full(len(theta), 9.0)

    grid = ada.cartesian_grid([-1.5], [-0.5], n=1)
    run = flat.ada_validate(OffByOne(), threshold=5.5, grid=grid, method=method)
    assert run.status is ada.Status.REFUTED
    assert "computed errors contradicted by simulations" in run.summary()
    assert "The computed share is" in run.summary()
    assert "for certain" not in run.summary()
    run.verify()
