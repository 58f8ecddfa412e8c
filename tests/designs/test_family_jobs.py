"""Whole jobs of designs whose parameters have borders: their certificates are above the exact error."""

from __future__ import annotations

import itertools
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import f, gamma, nct, t

import adagrid as ada
from adagrid.families import recorded_family
from adagrid.grid.grid import refine
from adagrid.methods.cells.region import Region
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.certified import TARGETS, validated


class Hazard(ada.Model):
    """Claims a hazard below 1 when 20 waiting times add up to much."""

    family = ada.Exponential(20)
    reject_when = "large"

    def draw(self, key):
        return jax.random.gamma(key, 20.0)

    def statistic(self, draw, theta, null_truth):
        return draw / theta[0]


HAZARD = float(gamma.ppf(0.975, 20))


T = float(t.ppf(0.975, 9))


class SharedControl(ada.Model):
    """Claims that a hazard is below a control's when it waits that much longer.

    The parameters are the control's hazard and by how much the other one is higher.
    """

    family = ada.LinearMap(ada.Exponential((20, 20)), matrix=[[1.0, 0.0], [1.0, 1.0]])
    reject_when = "large"

    def draw(self, key):
        return jax.random.gamma(key, 20.0, (2,))

    def statistic(self, draw, theta, null_truth):
        control, other = draw / (theta[0] + jax.numpy.array([0.0, 1.0]) * theta[1])
        return other / control


def hazard_error(theta):
    return gamma.sf(HAZARD * theta[..., 0], 20)


def t_error(theta):
    return nct.sf(T, 9, 10**0.5 * theta[..., 0] / np.sqrt(-2 * theta[..., 1]))


def shared_error(theta):
    return f.sf(RATIO * (theta[..., 0] + theta[..., 1]) / theta[..., 0], 40, 40)


def oblique_grid():
    """Tiles along the oblique border of the shared control's parameters; the box around them goes beyond it."""
    steps = itertools.product(np.arange(0.25, 2.0, 0.5), np.arange(-1.75, 0.0, 0.5))
    return ada.create_grid([(x, y) for x, y in steps if x + y > 0.55], [0.25, 0.25])


# The largest error is where the t-test's or the hazard's null hypothesis ends, or the ratio of hazards is smallest.
LEAST_RATIO = 1 / 3
RATIO = float(f.ppf(0.95, 40, 40)) / LEAST_RATIO
T_GRID = ada.cartesian_grid([-1, -1], [0, -0.25], n=1, null_hypos=["theta0 <= 0"])
JOBS = {
    "exponential": (Hazard, HAZARD, ada.cartesian_grid([1.0], [4.0], n=1), hazard_error, 0.025),
    "t-test": (ada.TTest(10), T, T_GRID, t_error, 0.025),
    "oblique": (SharedControl, RATIO, oblique_grid(), shared_error, 0.05),
}


@pytest.mark.parametrize("name", JOBS)
def test_certificates_by_interpolation_are_above_the_truth(name):
    model, threshold, grid, error, error_at_most = JOBS[name]
    run = validated(model, threshold, grid)
    run.verify()
    assert run.converged
    cells, points = run.results(), run.table("vertices").set_index("id")
    dim = grid.dim
    ids = cells[[f"point{i}" for i in range(dim + 1)]].to_numpy()
    vertices = points.loc[ids.ravel(), [f"theta{i}" for i in range(dim)]].to_numpy().reshape(-1, dim + 1, dim)
    weights = np.random.default_rng(0).dirichlet(np.full(dim + 1, 0.5), (50, len(cells)))
    truth = error(np.einsum("kcv,cvd->kcd", weights, vertices))
    assert (cells["tie_bound"].to_numpy() >= truth).all()
    assert error_at_most <= run.bound <= error_at_most + 2 * TARGETS["max_target"]


@pytest.mark.parametrize("name", JOBS)
def test_bounds_of_tiles_are_above_the_truth(name):
    model, threshold, grid, error, _ = JOBS[name]
    for _ in range(4):
        tiles, _ = refine(grid.tiles, grid.hypotheses)
        grid = replace(grid, tiles=tiles)
    grid = ada.create_grid(grid.tiles.theta, grid.tiles.radius, null_hypos=grid.hypotheses or None)
    run = flat.validate(model, threshold=threshold, grid=grid, n_sims=1024, db=PandasStore())
    run.verify()
    tiles = run.results()
    names = range(grid.dim)
    centre, radius = (tiles[[f"{column}{i}" for i in names]].to_numpy() for column in ("theta", "radius"))
    bound = tiles["tie_bound"].to_numpy()
    for corner in itertools.product((-1.0, 0.0, 1.0), repeat=grid.dim):
        assert (bound >= error(centre + np.array(corner) * radius)).all()
    assert ((bound > 0) & (bound <= 1)).all()
    assert bound.min() < 0.2


def test_plans_stay_in_a_parameter_space_that_is_no_box():
    family, grid = SharedControl.family, oblique_grid()
    with pytest.raises(ada.errors.DomainError):
        flat.validate(SharedControl, threshold=2.0, grid=ada.cartesian_grid([0.0, -2.0], [2.0, 0.0]))
    region = Region(family, grid.tiles, grid.hypotheses)
    pilot = region.pilot(64, 0)
    assert family.contains(pilot.theta).all()
    assert np.isfinite(region.fisher(pilot.theta)).all()
    assert (region.fisher.lengths > 0).all()


def test_a_job_of_a_family_in_a_family_is_continued_and_verified(tmp_path):
    """What its database holds is enough to compute its bounds again, and to know the same design."""
    path, targets = tmp_path / "job.duckdb", {"max_target": 0.02, "global_target": 0.03}
    first = flat.ada_validate(
        SharedControl, threshold=RATIO, grid=oblique_grid(), method="interpolated", db=path, n_steps=2, **targets
    )
    first.close()
    with flat.ada_validate(SharedControl, db=path, overrides={"n_steps": 100}) as run:
        whole = validated(SharedControl, RATIO, oblique_grid(), **targets)
        assert run.bound == whole.bound
        assert recorded_family(run.record.model.family_fields) == SharedControl.family
    with ada.open_job(path) as run:
        run.verify()

    class Other(SharedControl):
        family = ada.LinearMap(ada.Exponential((20, 20)), matrix=[[1.0, 0.0], [1.0, 2.0]])

    with pytest.raises(ada.errors.ResumeError, match="family"):
        flat.ada_validate(Other, db=path, accept_changed_model=True)
