"""The family-wise error of up to four hypotheses about four binomial arms, against enumeration of all outcomes.

Four single-arm trials of four patients each compare their response rates with constants: arm i rejects "p_i is at most
so much" if there are enough responders. A trial of two arms has a curved boundary. Everything is small enough to sum
the probabilities of all outcomes, so the family-wise error is known at every parameter value.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom

import adagrid as ada
from adagrid.engine import Shape, Simulator
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.certified import calibrated, validated
from tests.support.curved import Wave

N = 4
LIMITS = (0.4, 0.3, 0.5, 0.2)  # the hypotheses: p_i <= LIMITS[i]
NULLS = [f"theta{i} <= {float(logit(p))!r}" for i, p in enumerate(LIMITS)]
OUTCOMES = np.array(list(itertools.product(range(N + 1), repeat=4)))
# the statistic of each hypothesis at each outcome, shape (outcomes, 4): large values reject
SCORES = OUTCOMES + np.array([0.0, 0.25, -0.5, 0.5])
THRESHOLD = 3.2


class FourArms(ada.Model):
    """The largest score of a true hypothesis; rejects where it is above the threshold."""

    family = ada.Binomial(n=(N,) * 4)
    reject_when = "large"

    def __init__(self, arms=(0, 1, 2, 3)):
        self.arms = tuple(arms)

    def draw(self, key):
        return jax.random.uniform(key, (N, 4))

    def statistic(self, draw, theta, null_truth):
        responders = jnp.sum(draw < jax.nn.sigmoid(theta)[None], axis=0)
        scores = (responders + jnp.asarray([0.0, 0.25, -0.5, 0.5], jnp.float32))[np.array(self.arms)]
        return jnp.max(jnp.where(null_truth, scores, -jnp.inf))


def probabilities(theta):
    """Return the probability of every outcome, shape (..., outcomes)."""
    p = expit(np.asarray(theta))[..., None]
    each = binom.pmf(np.arange(N + 1), N, p)  # (..., arm, responders)
    return np.prod([each[..., arm, :][..., OUTCOMES[:, arm]] for arm in range(4)], axis=0)


def error(theta, truth, threshold=THRESHOLD, scores=SCORES):
    """Return the exact family-wise error at points under given true hypotheses, both of shape (points, ...)."""
    rejects = scores[None] > threshold  # (1, outcomes, hypotheses)
    wrong = (rejects & truth[:, None, :]).any(axis=2)
    return np.sum(probabilities(theta) * wrong, axis=1)


def random_nulls(hypotheses, lower, upper, count, seed=0):
    """Return points where a hypothesis is true, many of them near boundaries, and which are true there."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(lower, upper, (40 * count, len(lower)))
    distance = np.stack([h.dist(points) for h in hypotheses], axis=1)
    null = (distance >= 0).any(axis=1)
    points, distance = points[null], distance[null]
    nearest = np.argsort(np.abs(distance).min(axis=1))
    some = np.concatenate([nearest[: count // 2], generator.choice(len(points), count // 2)])
    return points[some], distance[some] >= 0


def columns(frame, prefix):
    return frame.filter(regex=rf"^{prefix}\d").to_numpy()


def around(run, points):
    """Tell which points lie in which tiles or cells in force, shape (points, results)."""
    results = run.results()
    theta, radius = columns(results, "theta"), columns(results, "radius")
    inside = (np.abs(points[:, None] - theta) <= radius + 1e-9).all(axis=2)
    if run.record.method.name == "classic":
        return inside
    vertices = run.table("vertices").set_index("id")
    corners = np.stack([columns(vertices.loc[ids], "theta") for ids in columns(results, "point").T], axis=1)
    edges = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    solid = results["volume"].to_numpy() > 0  # rounding makes flat cells, which contain nothing
    edges = np.where(solid[:, None, None], edges, 1e9 * np.eye(points.shape[1]))
    weights = np.einsum("cij,pcj->pci", np.linalg.inv(edges), points[:, None] - corners[None, :, 0])
    inside &= solid
    return inside & (weights >= -1e-9).all(axis=2) & (weights.sum(axis=2) <= 1 + 1e-9)


def check_validation(run, hypotheses, lower, upper, exact):
    """Every tile or cell around a null point with what is true there bounds the error there; return the largest."""
    run.verify()
    points, truth = random_nulls(hypotheses, lower, upper, 400)
    truths, results = exact(points, truth), run.results()
    theta, held = columns(results, "theta"), columns(results, "null_truth").astype(bool)
    bounds = around(run, points) & (held[None] | ~truth[:, None]).all(axis=2)
    assert bounds.any(axis=1).all()
    bound = results["tie_bound"].to_numpy()
    assert (np.where(bounds, bound, np.inf).min(axis=1) >= truths).all()
    assert run.bound >= truths.max()
    if run.record.method.name == "classic":
        assert (bound >= exact(theta, held)).all()
    return truths.max()


def test_the_oracle():
    """All outcomes have a probability of 1 together; independent arms multiply."""
    theta = np.array([[-0.3, 0.2, 0.5, -1.0]])
    np.testing.assert_allclose(probabilities(theta).sum(), 1.0)
    p = expit(theta[0])
    miss = [
        1 - binom.sf(np.ceil(THRESHOLD - shift) - 1, N, q) for q, shift in zip(p, (0, 0.25, -0.5, 0.5), strict=True)
    ]
    np.testing.assert_allclose(error(theta, np.ones((1, 4), bool)), 1 - np.prod(miss))
    np.testing.assert_allclose(error(theta, np.array([[True, False, False, True]])), 1 - miss[0] * miss[3])


def test_more_true_hypotheses_never_mean_fewer_rejections():
    """What every design with several hypotheses has to keep, trial by trial, if some boundaries are curved."""
    simulator = Simulator(FourArms(), 0, 4, shape=Shape(4096, 16))
    truths = np.array(list(itertools.product((False, True), repeat=4)))
    theta = np.tile([[0.1, -0.4, 0.3, -0.2]], (len(truths), 1))
    for threshold in (1.2, 2.2, 3.2):
        counts = simulator.count(theta, truths, -threshold, 0, 4096)
        for some, few in zip(truths, counts, strict=True):
            more = (truths >= some).all(axis=1)
            assert (counts[more] >= few).all()
        assert counts[0] == 0


@pytest.mark.parametrize("n_hypotheses", [1, 4])
def test_four_arms_by_tiles(n_hypotheses):
    lower, upper = [-1.5] * 4, [0.5] * 4
    grid = ada.cartesian_grid(lower, upper, n=2, null_hypos=NULLS[:n_hypotheses])
    model = FourArms(range(n_hypotheses))
    run = flat.ada_validate(
        model, threshold=THRESHOLD, grid=grid, init_sims=1024, max_sims=4096, n_steps=3, step_size=60, delta=1e-4,
        db=PandasStore(),
    )  # fmt: skip
    exact = lambda theta, truth: error(theta, truth, scores=SCORES[:, :n_hypotheses])
    largest = check_validation(run, grid.hypotheses, lower, upper, exact)
    assert largest > 0.02 * n_hypotheses


def test_four_arms_by_cells():
    lower, upper = [-1.0] * 4, [0.5] * 4
    grid = ada.cartesian_grid(lower, upper, n=1, null_hypos=NULLS)
    run = validated(FourArms(), THRESHOLD, grid, max_target=0.1, global_target=0.2, delta=1e-4)
    assert run.converged
    largest = check_validation(run, grid.hypotheses, lower, upper, error)
    assert run.bound <= largest + 0.2


def test_calibrated_for_four_arms():
    """Few thresholds are possible; the one found keeps the level everywhere, and the next would not."""
    lower, upper = [-1.5] * 4, [0.5] * 4
    grid = ada.cartesian_grid(lower, upper, n=1, null_hypos=NULLS)
    run = calibrated(FourArms(), 0.3, grid, grid_target=0.1, bias_target=0.1, std_target=0.1)
    run.verify()
    worst = np.array([[logit(p) for p in LIMITS]]), np.ones((1, 4), bool)
    assert error(*worst, threshold=run.threshold)[0] <= 0.3
    below = np.unique(SCORES)[np.unique(SCORES) < run.threshold - 1e-3]
    assert error(*worst, threshold=below.max() - 1e-3)[0] > 0.3


CURVED = [
    ada.RiskDifference(treatment=1, control=0, margin=0.05),
    Wave(0.4, 2.0),
    ada.Ellipsoid((0.0,) * 4, (1.3, 1.2, 1.3, 1.4), "outside"),
    ada.HalfSpace((0.0, 0.0, 1.0, 0.5), 0.1),
]


def test_curved_boundaries_in_four_dimensions():
    """The same scores, but the hypotheses are true on other sets: a difference of risks, a wave, an ellipsoid."""
    lower, upper = [-1.0] * 4, [1.0] * 4
    grid = ada.cartesian_grid(lower, upper, n=1, null_hypos=CURVED, depth=4)
    run = flat.ada_validate(
        FourArms(), threshold=THRESHOLD, grid=grid, init_sims=1024, max_sims=4096, n_steps=3, step_size=20, delta=1e-4,
        db=PandasStore(),
    )  # fmt: skip
    check_validation(run, grid.hypotheses, lower, upper, error)
    assert (run.table("tiles")["step_id"] > 0).any()


class TwoArms(ada.Model):
    """The first two arms alone."""

    family = ada.Binomial(n=(N, N))
    reject_when = "large"

    def draw(self, key):
        return jax.random.uniform(key, (N, 2))

    def statistic(self, draw, theta, null_truth):
        responders = jnp.sum(draw < jax.nn.sigmoid(theta)[None], axis=0)
        scores = jnp.stack([responders[1] - responders[0], responders[1] * 1])
        return jnp.max(jnp.where(null_truth, scores.astype(jnp.float32), -jnp.inf))


def two_arm_error(theta, truth):
    pairs = np.array(list(itertools.product(range(N + 1), repeat=2)))
    each = binom.pmf(np.arange(N + 1), N, expit(np.asarray(theta))[..., None])
    chance = each[:, 0, pairs[:, 0]] * each[:, 1, pairs[:, 1]]
    scores = np.stack([pairs[:, 1] - pairs[:, 0], pairs[:, 1]], axis=1)
    return np.sum(chance * ((scores > 2.5)[None] & truth[:, None]).any(axis=2), axis=1)


@pytest.mark.parametrize("method", ["classic", "interpolated"])
@pytest.mark.parametrize(
    "nulls",
    [
        [ada.RiskDifference(margin=0.1), ada.Ellipsoid((0.0, -0.5), (0.8, 0.6), "inside")],
        [Wave(0.5, 3.0), ada.Ellipsoid((0.1, 0.0), (0.9, 1.1))],
    ],
)
def test_curved_boundaries_in_two_dimensions(method, nulls):
    lower, upper = [-1.0, -1.5], [1.0, 1.0]
    grid = ada.cartesian_grid(lower, upper, n=2, null_hypos=nulls, depth=6)
    sizes = {"init_sims": 2048, "max_sims": 8192, "n_steps": 6, "step_size": 100} if method == "classic" else {}
    run = validated(TwoArms(), 2.5, grid, method=method, delta=1e-4, max_target=0.02, global_target=0.04, **sizes)
    check_validation(run, grid.hypotheses, lower, upper, two_arm_error)
    # tiles that are left undecided cost little where they are refined, and what their size costs otherwise
    points, truth = random_nulls(grid.hypotheses, lower, upper, 4000)
    assert run.bound <= two_arm_error(points, truth).max() + (0.06 if method == "classic" else 0.2)
