"""The interpolated bound is never below the truth, and as tight as a brute-force search finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom, norm

from adagrid.bounds import interpolated_bound, interpolated_levels, interpolated_reach, tilt_bound
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial, Normal
from tests.support.examples import examples

# Few families, because a program is compiled for each.
ARMS = [(12,), (12, 30), (2, 2, 3, 2)]
TWO = Binomial((12, 30))
seeds = st.integers(0, 2**32 - 1)


def exact(n, function, theta):
    """E F(X) for independent binomials with logits theta of shape (points, arms), by enumeration."""
    weight = np.ones((len(theta), 1))
    for k, logits in zip(n, theta.T, strict=True):
        mass = binom.pmf(np.arange(k + 1), k, 1 / (1 + np.exp(-logits[:, None])))
        weight = (weight[:, :, None] * mass[:, None]).reshape(len(theta), -1)
    return weight @ function.ravel()


def random_simplex(rng, dim, size):
    return rng.uniform(-2, 2, dim) + size * rng.normal(size=(dim + 1, dim))


def inside(rng, vertices, count):
    weights = rng.dirichlet(np.full(len(vertices), 0.6), count)
    return np.concatenate([weights @ vertices, vertices])


@pytest.mark.parametrize("n", ARMS)
@settings(max_examples=examples(40))
@given(seed=seeds, size=st.sampled_from([1e-6, 0.05, 0.3, 1.0, 3.0]), kind=st.sampled_from(["any", "sparse", "most"]))
def test_never_below_the_truth_for_binomial_arms(n, seed, size, kind):
    rng = np.random.default_rng(seed)
    function = rng.random([k + 1 for k in n])
    if kind != "any":  # rejection sets
        function = (function < (0.05 if kind == "sparse" else 0.7)).astype(float)
    vertices = random_simplex(rng, len(n), size)
    upper = np.minimum(exact(n, function, vertices) * (1 + 1e-12), 1.0)
    bound = interpolated_bound(Binomial(n), vertices[None], upper[None])[0]
    assert bound >= exact(n, function, inside(rng, vertices, 40)).max() * (1 - 1e-12)


@settings(max_examples=examples(60))
@given(seed=seeds, dim=st.integers(1, 2), size=st.sampled_from([1e-6, 0.1, 1.0, 4.0]))
def test_never_below_the_truth_for_normal_means(seed, dim, size):
    """Half-spaces: the sets for which the bound comes closest."""
    rng = np.random.default_rng(seed)
    sd = np.array([0.7, 1.6])[:dim]
    direction = rng.normal(size=dim)
    spread = np.sqrt(((direction * sd) ** 2).sum())
    critical = rng.normal(2, 1)
    truth = lambda theta: norm.sf((critical - theta @ direction) / spread)
    vertices = random_simplex(rng, dim, size)
    # an upper bound also where the truth is too small for a floating-point number: 0 would say that it is 0 everywhere
    upper = np.clip(truth(vertices) * (1 + 1e-12), 1e-300, 1.0)
    bound = interpolated_bound(Normal(sd=sd.tolist()), vertices[None], upper[None])[0]
    assert bound >= truth(inside(rng, vertices, 200)).max() * (1 - 1e-12)


@pytest.mark.parametrize("family", [TWO, Normal(sd=(0.7, 1.6)), Binomial((2, 2, 3, 2))])
def test_against_brute_force(family):
    """Between the best weights that SciPy finds, and hardly above."""
    rng = np.random.default_rng(0)
    for size in (0.02, 0.3, 1.5):
        vertices = random_simplex(rng, family.dim, size)
        log_upper = np.log(rng.uniform(0.001, 0.1, family.dim + 1))
        values = log_upper + family.log_partition(vertices)

        def loss(x, vertices=vertices, values=values):
            weights = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
            return family.log_partition(weights @ vertices) - weights @ values

        starts = [8 * np.eye(family.dim + 1)[j] for j in range(family.dim + 1)] + [np.zeros(family.dim + 1)]
        best = -min(minimize(loss, start, method="BFGS").fun for start in starts)
        best = max(best, log_upper.max())
        found = interpolated_log_bound(family, vertices[None], log_upper[None])[0]
        assert best - 1e-9 <= found <= best + 2e-5
        reach = np.log(interpolated_reach(family, vertices[None], np.exp(log_upper)[None])[0])
        assert min(best, 0.0) - 1e-4 <= reach <= min(found, 0.0)


def test_many_at_once_are_the_same_as_one_by_one():
    rng = np.random.default_rng(1)
    vertices = np.stack([random_simplex(rng, 2, s) for s in rng.uniform(0.01, 1, 1500)])
    upper = rng.uniform(0.001, 0.5, (1500, 3))
    together = interpolated_bound(TWO, vertices, upper)
    some = rng.choice(1500, 20, replace=False)
    alone = np.concatenate([interpolated_bound(TWO, vertices[[k]], upper[[k]]) for k in some])
    np.testing.assert_allclose(together[some], alone, rtol=2e-5)
    for order in itertools.permutations(range(3)):
        turned = interpolated_bound(TWO, vertices[:, order], upper[:, order])
        np.testing.assert_allclose(turned, together, rtol=2e-5)


def test_between_the_largest_vertex_and_one():
    rng = np.random.default_rng(2)
    vertices = np.stack([random_simplex(rng, 2, s) for s in (1e-9, 0.1, 1.0, 10.0)] * 5)
    upper = rng.uniform(0, 1, (20, 3))
    bound = interpolated_bound(TWO, vertices, upper)
    assert (bound >= upper.max(axis=1)).all()
    assert (bound <= 1).all()
    np.testing.assert_allclose(bound[::4], upper[::4].max(axis=1), rtol=1e-5)


def test_a_point_has_its_own_bound():
    """Degenerate simplices: repeated vertices, and flat ones."""
    point = np.array([[[0.3, -0.2]] * 3])
    assert interpolated_bound(TWO, point, np.full((1, 3), 0.03))[0] == pytest.approx(0.03, rel=1e-9)
    edge = np.array([[[0.0, 0.0], [0.4, 0.2], [0.2, 0.1]]])
    plain = np.array([[[0.0, 0.0], [0.4, 0.2]]])
    upper = np.array([[0.02, 0.03, 1.0]])
    assert interpolated_bound(TWO, plain, upper[:, :2])[0] <= interpolated_bound(TWO, edge, upper)[0] + 1e-6


def test_extreme_values():
    vertices = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    assert interpolated_bound(TWO, vertices, np.array([[0.0, 0.5, 1.0]]))[0] == 0.0
    assert interpolated_bound(TWO, vertices, np.array([[1.0, 1.0, 1.0]]))[0] == 1.0
    assert interpolated_reach(TWO, vertices, np.array([[0.0, 0.5, 1.0]]))[0] == 0.0
    assert interpolated_reach(TWO, vertices, np.array([[1.0, 1.0, 1.0]]))[0] == 1.0
    tiny = interpolated_bound(TWO, vertices, np.array([[1e-300, 1e-300, 1e-300]]))[0]
    assert 1e-300 <= tiny < 1e-295
    assert interpolated_bound(TWO, np.empty((0, 3, 2)), np.empty((0, 3))).shape == (0,)
    for wrong in (np.nan, -0.1, 1.1):
        with pytest.raises(InvalidInputError):
            interpolated_bound(TWO, vertices, np.array([[0.1, wrong, 0.1]]))


@settings(max_examples=50)
@given(seed=seeds)
def test_the_tilt_bound_is_the_case_of_two_vertices(seed):
    """Vertices theta0 with u = a, and theta0 + q v with u = 1, at theta0 + v for the best q."""
    rng = np.random.default_rng(seed)
    theta, v, a = rng.uniform(-1, 1, 2), rng.normal(size=2) * 0.2, rng.uniform(0.001, 0.2)
    q = 1 + np.exp(np.linspace(-4, 8, 4000))
    here, there = TWO.log_partition(theta), TWO.log_partition(theta + v)
    best = np.min((1 - 1 / q) * (np.log(a) + here) + TWO.log_partition(theta + q[:, None] * v) / q - there)
    assert tilt_bound(TWO, theta[None], v[None, None], a)[0] == pytest.approx(min(np.exp(best), 1), rel=1e-5)


@settings(max_examples=50)
@given(seed=seeds, size=st.sampled_from([0.01, 0.2, 1.0]))
def test_levels_are_the_inverse(seed, size):
    rng = np.random.default_rng(seed)
    vertices = random_simplex(rng, 2, size)[None]
    levels = interpolated_levels(TWO, vertices, np.log(rng.uniform(0.005, 0.05, (1, 3))), 0.025)
    assert ((levels > 0) & (levels <= 1)).all()
    bound = interpolated_bound(TWO, vertices, levels)[0]
    assert bound <= 0.025 * (1 + 2e-5)
    if levels.max() < 1:
        assert bound >= 0.025 * (1 - 2e-5)


@pytest.mark.parametrize("width", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize(("family", "se"), [(Normal(), 1.0), (Normal(sd=2.0, n=10_000), 0.02), (Binomial(50), 0.28)])
@pytest.mark.parametrize("offset", [0.0, -300.0])
def test_tight_on_wide_cells_anywhere(family, se, width, offset):
    """Against a fine grid along the cell: the search for the maximum does not stall, whatever the numbers are."""
    if isinstance(family, Binomial):
        offset /= 100
    rng = np.random.default_rng(0)
    left = rng.uniform(-3, 3, (1500, 1)) * se + offset * se
    vertices = np.stack([left, left + width * se], axis=1)
    log_upper = np.log(rng.uniform(1e-4, 0.05, (1500, 2)))
    share = np.linspace(0, 1, 2001)
    theta = vertices[:, :1] + share[None, :, None] * (vertices[:, 1:] - vertices[:, :1])
    height = log_upper + family.log_partition(vertices)
    along = (1 - share) * height[:, :1] + share * height[:, 1:] - family.log_partition(theta)
    excess = interpolated_log_bound(family, vertices, log_upper) - along.max(axis=1)
    assert excess.min() > -1e-7
    assert excess.max() < 2e-5
    reach = np.log(interpolated_reach(family, vertices, np.exp(log_upper))) - np.minimum(along.max(axis=1), 0.0)
    assert reach.max() < 1e-6
    assert reach.min() > -1e-6
