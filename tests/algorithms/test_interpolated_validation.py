"""Validation by interpolation, stage by stage in memory, against exact truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import adagrid as ada
from adagrid.algorithms.interpolated import validate as module
from adagrid.algorithms.interpolated.fisher import FisherCoordinates
from adagrid.algorithms.interpolated.planning import sims_for_limit
from adagrid.algorithms.interpolated.validate import REPAIRS, Certificate, InterpolatedValidation
from adagrid.engine import Simulator
from adagrid.estimation import clopper_pearson_upper
from oracles import binomial_error, fisher_table, z_error


class Nuisance(ada.Model):
    """A z-test of the first of two means."""

    family = ada.Normal(sd=(1.0, 1.0))
    reject_when = "large"

    def draw(self, key):
        import jax

        return jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        return draw + theta[0]


def policy(model, grid, seed=0, **targets):
    wanted = {"max_target": 0.002, "global_target": 0.005} | targets
    return InterpolatedValidation(model.family, grid, delta=0.01, seed=seed, **wanted)


def run(model, grid, threshold, seed=0, **targets):
    """Run all stages; returns the policy, the certificate, bounds, what is missed, and the pilot."""
    simulator = Simulator(model, 0, grid.tiles.n_nulls)
    ask = policy(model, grid, seed, **targets)

    def simulate(points):
        found = np.empty(len(points), np.int64)
        for stream in np.unique(points.stream):
            own = np.flatnonzero(points.stream == stream)
            some, fresh = points.take(own), simulator.reseeded(1000 * (seed + 1) + int(stream))
            limit = model.direction * threshold
            found[own] = fresh.count(some.theta, some.null_truth, limit, some.begin, some.end)
        return replace(points, rejections=found)

    pilot = simulate(ask.pilot())
    for number in (1, 2):
        pilot = pilot.join(simulate(ask.more_pilot(pilot, number)))
    cells, vertex, points = ask.first_pass(pilot)
    certificate = Certificate(cells, vertex, simulate(points))
    for number in range(1, REPAIRS + 2):
        bounds = ask.bounds(certificate, simulator.represented(certificate.points.theta))
        missed = ask.missed(certificate, bounds, pilot)
        if not missed.any() or number > REPAIRS:
            break
        repaired, old = ask.repair(certificate, bounds, missed, pilot, number)
        fresh = simulate(repaired.points.take(np.arange(old, len(repaired.points))))
        points = repaired.points.take(np.arange(old)).join(fresh)
        certificate = Certificate(repaired.cells, repaired.vertex, points)
    return ask, certificate, bounds, missed, pilot


def inside(cells, count=20):
    weights = np.random.default_rng(1).dirichlet(np.full(cells.dim + 1, 0.5), (count, len(cells)))
    return np.einsum("kcv,cvd->kcd", weights, cells.vertices)


NULL2 = ["theta1 <= theta0"]
CASES = {
    "z": (ada.ZTest(), ada.cartesian_grid([-1], [0], n=1), 1.96, lambda t: z_error(t[..., 0], 1.96), 0.025),
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
    _, certificate, bounds, missed, _, truth, size, _ = case
    assert not missed.any()
    assert (bounds >= truth(inside(certificate.cells)).max(axis=0)).all()
    if size is not None:
        assert size <= bounds.max() <= size + 0.002 + 0.0015


def test_cells_cover_the_region(case):
    _, certificate, _, _, _, _, _, grid = case
    assert certificate.cells.volume.sum() == pytest.approx(grid.tiles.volume.sum(), rel=1e-9)
    theta = certificate.points.theta[certificate.vertex]
    np.testing.assert_array_equal(theta, certificate.cells.vertices)
    truth = certificate.points.null_truth[certificate.vertex]
    assert (truth == certificate.cells.null_truth[:, None]).all()


def test_delta_is_shared(case):
    """At every vertex of a cell all passes together use at most the vertex's share."""
    _, certificate, _, _, _, _, _, grid = case
    points = certificate.points
    site = np.unique(np.concatenate([points.theta, points.null_truth], axis=1), axis=0, return_inverse=True)[1]
    spent = np.zeros(site.max() + 1)
    np.add.at(spent, site.ravel(), points.delta)
    assert spent.max() <= 0.01 / (grid.dim + 1) * (1 + 1e-12)
    slices = 0.1 * np.array([0.5, 0.25, 0.125, 0.125])
    assert 0.9 + slices.sum() <= 1 + 1e-12


def test_far_fewer_simulations_than_tiles():
    """The same bound from the classic loop costs at least ten times as many."""
    _, certificate, bounds, _, pilot = run(*CASES["fisher"][:3])
    spent = int(pilot.n_sims.sum() + certificate.points.n_sims.sum())
    grid = ada.cartesian_grid([-1, -1], [1, 1], null_hypos=NULL2)
    classic = ada.ada_validate(CASES["fisher"][0], threshold=0.05, grid=grid)
    assert classic.converged
    assert bounds.max() <= classic.bound + 0.001
    assert classic.results(active=False)["n_sims"].sum() > 10 * spent


def test_deterministic_in_its_seeds():
    one, other, third = (run(*CASES["fisher"][:3], seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[2], other[2])
    np.testing.assert_array_equal(one[1].points.rejections, other[1].points.rejections)
    assert len(one[2]) != len(third[2]) or (one[2] != third[2]).any()


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
    _, certificate, bounds, _, _ = run(model, grid, threshold)
    assert (bounds >= truth(inside(certificate.cells)).max(axis=0)).all()
    assert bounds.max() >= size


def test_repairs_mend_what_a_careless_plan_misses(monkeypatch):
    """With a quarter of the planned simulations cells miss their targets; repairs meet them with fresh slices."""
    original = module.plan_sims
    calls = []

    def careless(*args, **kwargs):
        calls.append(1)
        planned = original(*args, **kwargs)
        return np.maximum(planned // 256 * 64, 64) if len(calls) <= 3 else planned

    monkeypatch.setattr(module, "plan_sims", careless)
    model, grid, threshold, truth, _ = CASES["fisher"]
    _, certificate, bounds, missed, _ = run(model, grid, threshold)
    assert certificate.points.stream.max() > 1
    assert missed.mean() < 0.1
    assert (bounds >= truth(inside(certificate.cells)).max(axis=0)).all()
    assert certificate.cells.volume.sum() == pytest.approx(grid.tiles.volume.sum(), rel=1e-9)


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
    _, certificate, bounds, missed, _ = run(Dunnett(), grid, 2.2121, max_target=0.004, global_target=0.008)
    assert not missed.any()
    both = certificate.cells.null_truth.all(axis=1)
    assert 0.025 <= bounds[both].max() <= 0.025 + 0.004 + 0.002
    single = bounds[~both].max()
    assert norm.sf(2.2121) <= single <= norm.sf(2.2121) + 0.006
    assert len(np.unique(certificate.cells.null_truth, axis=0)) == 3


@pytest.mark.parametrize("delta", [0.01, 1e-4])
def test_sims_for_limit(delta):
    """With the number of simulations planned, the limit of an estimate on the expected value is about the target."""
    rate, upper = np.array([0.001, 0.02, 0.025, 0.3]), np.array([0.004, 0.025, 0.0255, 0.31])
    sims = np.ceil(sims_for_limit(rate, upper, delta))
    limit = clopper_pearson_upper(np.round(rate * sims), sims, delta)
    np.testing.assert_allclose(limit, upper, rtol=0.05)
    assert sims_for_limit(np.array([0.02]), np.array([0.02]), 0.01)[0] == np.inf


def test_fisher_coordinates():
    """For binomial arms they are the arcsine transform; differences of one are one standard error."""
    family = ada.Binomial((50, 20))
    fisher = FisherCoordinates(family, np.array([-2.0, -1.0]), np.array([2.0, 3.0]))
    theta = np.random.default_rng(0).uniform([-2, -1], [2, 3], (50, 2))
    arcsine = lambda t: 2 * np.sqrt([50, 20]) * np.arcsin(np.sqrt(1 / (1 + np.exp(-t))))
    np.testing.assert_allclose(fisher(theta), arcsine(theta) - arcsine(np.array([-2.0, -1.0])), atol=1e-3)
    np.testing.assert_allclose(fisher.inverse(fisher(theta)), theta, atol=1e-9)
