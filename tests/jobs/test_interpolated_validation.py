"""Validation by interpolation against exact truths."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import adagrid as ada
from adagrid.methods.cells import validation as module
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayZ
from tests.support.oracles import binomial_error, fisher_table, z_error


class Nuisance(ada.Model):
    """A z-test of the first of two means."""

    family = ada.Normal(sd=(1.0, 1.0))
    reject_when = "large"

    def draw(self, key):
        import jax

        return jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        return draw + theta[0]


def run(model, grid, threshold, seed=0, **targets):
    """Run the job; returns it and its cells' vertices, shape (cells, dim + 1, dim)."""
    job = flat.ada_validate(
        model, threshold=threshold, grid=grid, method="interpolated", db=PandasStore(), model_seed=seed, **targets
    )
    job.verify()
    return job, corners(job)


def corners(job):
    cells, points = job.results(), job.table("vertices").set_index("id")
    ids = cells[[name for name in cells if name.startswith("point")]]
    dim = ids.shape[1] - 1
    return points.loc[ids.to_numpy().ravel(), [f"theta{i}" for i in range(dim)]].to_numpy().reshape(-1, dim + 1, dim)


def inside(vertices, count=20):
    n, n_vertices, _ = vertices.shape
    weights = np.random.default_rng(1).dirichlet(np.full(n_vertices, 0.5), (count, n))
    return np.einsum("kcv,cvd->kcd", weights, vertices)


def bounds(job):
    return job.results()["tie_bound"].to_numpy()


LOOSE = {"max_target": 0.008, "global_target": 0.016}
NULL2 = ["theta1 <= theta0"]
CASES = {
    "z": (ArrayZ(), ada.cartesian_grid([-1], [0], n=1), 1.96, lambda t: z_error(t[..., 0], 1.96), 0.025),
    "z, nuisance": (
        Nuisance(),
        ada.cartesian_grid([-1, -1], [0, 1], n=1, null_hypos=["x <= 0"]),
        1.96,
        lambda t: z_error(t[..., 0], 1.96),
        0.025,
    ),
    "fisher": (
        ada.FisherExact(20),
        ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=NULL2),
        0.05,
        lambda t: binomial_error(fisher_table(20) < 0.05, t),
        0.026629,
    ),
    "fisher, oblique": (
        ada.FisherExact(20),
        ada.cartesian_grid([-1, -1], [1, 1.5], n=(2, 1), null_hypos=["theta1 <= 0.8*theta0 + 0.1"]),
        0.05,
        lambda t: binomial_error(fisher_table(20) < 0.05, t),
        None,
    ),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    model, grid, threshold, truth, size = CASES[request.param]
    return (*run(model, grid, threshold), truth, size, grid)


def test_certified_bounds_are_above_the_truth(case):
    job, vertices, truth, size, _ = case
    assert job.converged
    assert job.guarantee == "certified"
    assert (bounds(job) >= truth(inside(vertices)).max(axis=0)).all()
    if size is not None:
        assert size <= job.bound <= size + 0.002 + 0.0015


def test_cells_cover_the_region(case):
    job, vertices, _, _, grid = case
    cells = job.results()
    assert cells["volume"].sum() == pytest.approx(grid.tiles.volume.sum(), rel=1e-9)
    volume = np.abs(np.linalg.det(vertices[:, 1:] - vertices[:, :1])) / math.factorial(grid.dim)
    np.testing.assert_allclose(cells["volume"], volume, rtol=1e-9)
    points = job.table("vertices").set_index("id")
    for name in (name for name in cells if name.startswith("null_truth")):
        for vertex in (name for name in cells if name.startswith("point")):
            assert (points.loc[cells[vertex], name].to_numpy() == cells[name]).all()


def test_delta_is_shared(case):
    """The fresh vertices of a cell use at most their pass's slice; all slices together are delta."""
    job, *_ = case
    cells, points = job.table("cells"), job.table("vertices").set_index("id")
    passes = sorted(cells["coordination_id"].unique())
    for number, own in enumerate(passes):
        planned = cells[cells["coordination_id"] == own]
        spent = np.zeros(len(planned))
        for name in (name for name in planned if name.startswith("point")):
            vertex = points.loc[planned[name]]
            spent += np.where(vertex["coordination_id"] == own, vertex["level"], 0.0)
        assert spent.max() <= 0.01 * module.SLICES[number] * (1 + 1e-12)
        assert spent.max() > 0
    assert sum(module.SLICES) == pytest.approx(1.0, rel=1e-12)


def test_verify_notices_overspent_confidence(monkeypatch):
    """Levels that together exceed delta give smaller bounds, and no certificate."""
    original = module.shares
    monkeypatch.setattr(module, "shares", lambda *args: np.minimum(1.0, 1.5 * original(*args)))
    model, grid, threshold, _, _ = CASES["z"]
    with pytest.raises(ada.errors.CorruptStoreError, match="do not follow"):
        run(model, grid, threshold)


def test_passes_use_simulations_that_chose_nothing(case):
    """Pilots and passes have streams of their own; pilot points have disjoint simulations."""
    job, *_ = case
    pilot, vertices = job.table("pilot"), job.table("vertices")
    assert set(pilot["stream"]) == {0}
    assert (vertices["stream"] == vertices["coordination_id"] - 2).all()
    ordered = pilot.sort_values("begin_sim")
    ends = (ordered["begin_sim"] + ordered["n_sims"]).to_numpy()
    assert (ordered["begin_sim"].to_numpy()[1:] >= ends[:-1]).all()
    assert (vertices["begin_sim"] == 0).all()
    assert (vertices["n_sims"] % 64 == 0).all()


def test_far_fewer_simulations_than_tiles():
    """The same bound from the classic loop costs at least ten times as many."""
    job, _ = run(*CASES["fisher"][:3], **LOOSE)
    spent = int(job.table("pilot")["n_sims"].sum() + job.table("vertices")["n_sims"].sum())
    grid = ada.cartesian_grid([-1, -1], [1, 1], null_hypos=NULL2)
    classic = flat.ada_validate(CASES["fisher"][0], threshold=0.05, grid=grid, db=PandasStore(), **LOOSE)
    assert classic.converged
    assert job.bound <= classic.bound + 0.001
    assert classic.results(active=False)["n_sims"].sum() > 10 * spent


def test_deterministic_in_its_seeds():
    one, other, third = (run(*CASES["fisher"][:3], seed=seed, **LOOSE)[0] for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(
        one.table("vertices").drop(columns="time"), other.table("vertices").drop(columns="time")
    )
    assert set(one.table("vertices")["rejections"]) != set(third.table("vertices")["rejections"])


@pytest.mark.parametrize("wrong", ["too low", "too high", "noise"])
def test_a_wrong_surrogate_costs_simulations_not_validity(wrong, monkeypatch):
    right = module.Surrogates.rates

    def rates(self, theta, null_truth):
        rate = right(self, theta, null_truth)
        if wrong == "noise":
            return np.clip(rate * np.exp(0.5 * np.sin(37 * theta.sum(axis=1))), 1e-7, 0.999)
        return np.clip(rate * (0.5 if wrong == "too low" else 1.5), 1e-7, 0.999)

    model, grid, threshold, truth, size = CASES["z"]
    monkeypatch.setattr(module.Surrogates, "rates", rates)
    job, vertices = run(model, grid, threshold)
    assert (bounds(job) >= truth(inside(vertices)).max(axis=0)).all()
    assert job.bound >= size


def test_repairs_mend_what_a_careless_plan_misses(monkeypatch):
    """With a quarter of the planned simulations cells miss their targets; repairs meet them with fresh slices."""
    original = module.plan_sims
    calls = []

    def careless(*args, **kwargs):
        calls.append(1)
        planned = original(*args, **kwargs)
        return (np.maximum(planned[0] // 256 * 64, 64), planned[1]) if len(calls) <= 6 else planned

    monkeypatch.setattr(module, "plan_sims", careless)
    model, grid, threshold, truth, _ = CASES["fisher"]
    job, vertices = run(model, grid, threshold)
    assert job.table("vertices")["stream"].max() > 1
    assert (job.results()["total_cost"] > 0.005).mean() < 0.1
    assert (bounds(job) >= truth(inside(vertices)).max(axis=0)).all()
    assert job.results()["volume"].sum() == pytest.approx(grid.tiles.volume.sum(), rel=1e-9)


def test_repairs_end(monkeypatch):
    """When all slices of delta are used up the job stops, unconverged, with a bound that holds."""
    original = module.plan_sims

    def careless(*args):
        sims, upper = original(*args)
        return np.maximum(sims // 640 * 64, 64), upper

    monkeypatch.setattr(module, "plan_sims", careless)
    model, grid, threshold, truth, _ = CASES["z"]
    job, vertices = run(model, grid, threshold)
    assert job.status is ada.Status.EMPTY_STEP
    assert job.table("coordinations")["kind"].tolist().count("pass") == 1 + module.REPAIRS
    assert (bounds(job) >= truth(inside(vertices)).max(axis=0)).all()
    with pytest.raises(ada.errors.ResumeError, match="threshold"):
        flat.ada_validate(model, threshold=1.9, db=job._store)


class Dunnett(ada.Model):
    """Two normal treatments against a shared control; the error is family-wise."""

    family = ada.Normal(sd=(1.0, 1.0, 1.0))
    reject_when = "large"

    def draw(self, key):
        import jax

        return jax.random.normal(key, (3,))

    def statistic(self, draw, theta, null_truth):
        import jax.numpy as jnp

        means = draw + theta
        z = (means[1:] - means[0]) / jnp.sqrt(2.0)
        return jnp.max(jnp.where(null_truth, z, -jnp.inf))


def test_several_null_hypotheses():
    """On theta1 = theta2 = theta0 the family-wise error is Dunnett's; with one true null it is the z-test's."""
    grid = ada.cartesian_grid([-0.5] * 3, [0.5] * 3, n=1, null_hypos=["y <= x", "z <= x"])
    job, _ = run(Dunnett(), grid, 2.2121, max_target=0.004, global_target=0.008)
    assert job.converged
    cells = job.results()
    both = (cells["null_truth0"] == 1) & (cells["null_truth1"] == 1)
    assert 0.025 <= cells["tie_bound"][both].max() <= 0.025 + 0.004 + 0.002
    single = cells["tie_bound"][~both].max()
    assert norm.sf(2.2121) <= single <= norm.sf(2.2121) + 0.008 + 0.001
    assert len(cells[["null_truth0", "null_truth1"]].drop_duplicates()) == 3
