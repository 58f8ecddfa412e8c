"""Curved null boundaries: what is said of boxes is never wrong, and tiles err on the safe side only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from adagrid.errors import InvalidInputError
from adagrid.grid import Ellipsoid, HalfSpace, NullHypothesis, RiskDifference, cartesian_grid, create_grid
from adagrid.grid.boundaries import decide
from adagrid.grid.grid import decided, refine
from adagrid.grid.hypotheses import split_half_spaces
from adagrid.grid.simplices import triangulate
from tests.support.curved import Product, Steep, Wave, random_hypothesis, touching_box

seeds = st.integers(0, 2**32 - 1)
dims = st.integers(2, 4)
NEAR = 1e-9


def points_in(generator, lower, upper, count=60):
    """Return corners and random points of boxes, shape (boxes, points, dim)."""
    dim = lower.shape[1]
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=dim)))
    shares = np.concatenate([corners, generator.uniform(size=(count, dim)), [[0.5] * dim]])
    return np.clip(lower[:, None] + shares * (upper - lower)[:, None], lower[:, None], upper[:, None])


def random_region(generator, dim):
    lower = generator.uniform(-2, 0, dim)
    return lower, lower + generator.choice([0.5, 1.0, 3.0], dim)


@settings(max_examples=80)
@given(seed=seeds, dim=dims)
def test_what_is_said_of_a_box_is_true_at_its_points(seed, dim):
    generator = np.random.default_rng(seed)
    region = random_region(generator, dim)
    hypothesis = random_hypothesis(generator, *region).in_dimension(dim)
    ends = np.sort(generator.uniform(*region, (40, 2, dim)), axis=1)
    boxes = [*ends, *(touching_box(generator, hypothesis, *region) for _ in range(40))]
    lower, upper = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
    side = hypothesis.side(lower, upper)
    distance = hypothesis.dist(points_in(generator, lower, upper))
    assert (distance[side == 1] >= 0).all()
    assert (distance[side == -1] < 0).all()
    assert (decide(hypothesis, lower, upper)[0][side == 0] == 0).all()  # of larger boxes, so no more is known


@settings(max_examples=60)
@given(seed=seeds, dim=dims)
def test_small_boxes_away_from_the_boundary_are_decided(seed, dim):
    generator = np.random.default_rng(seed)
    region = random_region(generator, dim)
    hypothesis = random_hypothesis(generator, *region).in_dimension(dim)
    centre = generator.uniform(*region, (50, dim))
    distance = hypothesis.dist(centre)
    clear = np.abs(distance) > 1e-4
    side = hypothesis.side(centre - 1e-7, centre + 1e-7)
    np.testing.assert_array_equal(side[clear], np.sign(distance)[clear])


def tile_points(generator, tiles):
    return points_in(generator, tiles.theta - tiles.radius, tiles.theta + tiles.radius, 20)


def assert_safe(tiles, hypotheses, generator):
    """Where a hypothesis is not among those of a tile it is false at every point of it; half-spaces on their side."""
    points = tile_points(generator, tiles)
    planes, curved = split_half_spaces(hypotheses)
    for j, hypothesis in curved.items():
        assert (hypothesis.dist(points)[~tiles.null_truth[:, j]] < 0).all()
    inside = np.ones(points.shape[:2], bool)  # of the part that the tile stands for
    for j, plane in planes.items():
        distance = plane.dist(points)
        inside &= np.where(tiles.null_truth[:, [j]], distance >= -NEAR, distance <= NEAR)
    return points, inside


@settings(max_examples=50)
@given(seed=seeds, dim=st.integers(2, 3), n_hypotheses=st.integers(1, 4), depth=st.integers(0, 5))
def test_grids_cover_and_err_on_the_safe_side(seed, dim, n_hypotheses, depth):
    generator = np.random.default_rng(seed)
    lower, upper = random_region(generator, dim)
    hypotheses = [random_hypothesis(generator, lower, upper) for _ in range(n_hypotheses)]
    n = generator.integers(1, 4, dim).tolist()
    try:
        grid = cartesian_grid(lower, upper, n=n, null_hypos=hypotheses, depth=depth)
    except InvalidInputError as refusal:
        if "true anywhere" not in str(refusal):
            raise
        return
    pruned = grid.retired.take(grid.n_children == 0)
    np.testing.assert_allclose(grid.tiles.volume.sum() + pruned.volume.sum(), np.prod(upper - lower), rtol=1e-9)
    assert not pruned.null_truth.any()
    assert grid.tiles.null_truth.any(axis=1).all()
    for tiles in (grid.tiles, pruned):
        assert_safe(tiles, grid.hypotheses, generator)
    # every null point is in a tile that has all that is true there
    points = generator.uniform(lower, upper, (300, dim))
    truth = np.stack([hypothesis.dist(points) >= 0 for hypothesis in grid.hypotheses], axis=1)
    needed = truth.any(axis=1)
    slack = 1e-12 * (np.abs(grid.tiles.theta) + grid.tiles.radius)
    inside = (np.abs(points[:, None] - grid.tiles.theta) <= grid.tiles.radius + slack).all(axis=2)
    enough = (grid.tiles.null_truth[None] | ~truth[:, None]).all(axis=2)
    assert (inside & enough).any(axis=1)[needed].all()
    # children cover retired tiles, as many as is said
    every = np.concatenate([grid.tiles.parent_id, pruned.parent_id])
    volume = np.concatenate([grid.tiles.volume, pruned.volume])
    for row in np.flatnonzero(grid.n_children):
        own = every == grid.retired.id[row]
        assert own.sum() == grid.n_children[row]
        np.testing.assert_allclose(volume[own].sum(), grid.retired.volume[row], rtol=1e-9)
    ids = np.concatenate([grid.tiles.id, grid.retired.id])
    assert len(np.unique(ids)) == len(ids)
    # only the smallest boxes are left undecided
    smallest = np.prod((upper - lower) / n) / 2**depth
    larger = grid.tiles.take(grid.tiles.box_volume > 1.01 * smallest)
    points, part = assert_safe(larger, grid.hypotheses, generator)
    for j, hypothesis in split_half_spaces(grid.hypotheses)[1].items():
        held = larger.null_truth[:, [j]] & part
        assert (hypothesis.dist(points)[held] >= -NEAR).all()


@settings(max_examples=40)
@given(seed=seeds, dim=st.integers(2, 3), n_hypotheses=st.integers(1, 3))
def test_refining_decides_anew(seed, dim, n_hypotheses):
    generator = np.random.default_rng(seed)
    lower, upper = random_region(generator, dim)
    hypotheses = [random_hypothesis(generator, lower, upper) for _ in range(n_hypotheses)]
    try:
        grid = cartesian_grid(lower, upper, n=2, null_hypos=hypotheses, depth=1)
    except InvalidInputError:
        return
    tiles, pruned, lost = grid.tiles, 0, 0.0
    undecided = []
    for _ in range(3):
        children, parent = refine(tiles, grid.hypotheses)
        inside = np.bincount(parent, children.volume, len(tiles))
        np.testing.assert_allclose(inside, tiles.volume, rtol=1e-6, atol=1e-12)
        assert (children.null_truth <= tiles.null_truth[parent]).all()
        assert_safe(children, grid.hypotheses, generator)
        again = decided(children, grid.hypotheses)
        np.testing.assert_array_equal(again.null_truth, children.null_truth)
        null = children.null_truth.any(axis=1)
        pruned, lost = pruned + (~null).sum(), lost + children.volume[~null].sum()
        tiles = children.take(null)
        if not len(tiles):
            return
        points, part = assert_safe(tiles, grid.hypotheses, generator)
        undecided.append(
            sum(
                tiles.volume[(tiles.null_truth[:, [j]] & part & (hypothesis.dist(points) < -NEAR)).any(axis=1)].sum()
                for j, hypothesis in split_half_spaces(grid.hypotheses)[1].items()
            )
        )
    whole = grid.tiles.volume.sum()
    np.testing.assert_allclose(tiles.volume.sum() + lost, whole, rtol=1e-6)
    assert undecided == sorted(undecided, reverse=True) or np.ptp(undecided) < 0.2 * whole


@settings(max_examples=40)
@given(seed=seeds, dim=dims)
def test_a_half_space_told_by_its_distance_is_the_half_space(seed, dim):
    """The exact cut is the oracle: what it gives to the null is given to the null, and little else."""
    generator = np.random.default_rng(seed)
    lower, upper = random_region(generator, dim)
    normal, point = generator.normal(size=dim), generator.uniform(lower, upper)
    told = Steep(tuple(normal.tolist()), float(normal @ point))
    exact = cartesian_grid(lower, upper, n=2, null_hypos=[HalfSpace(normal, told.offset)])
    volumes = [cartesian_grid(lower, upper, n=2, null_hypos=[told], depth=k).tiles.volume.sum() for k in (0, 4, 8)]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(volumes))
    assert volumes[-1] >= exact.tiles.volume.sum() * (1 - 1e-9)
    widths = (upper - lower) / 2
    thin = np.max(widths) * np.sqrt(dim) * 2 ** -(8 // dim) * np.sqrt(dim)
    assert volumes[-1] - exact.tiles.volume.sum() <= 4 * thin * np.prod(upper - lower) / np.min(upper - lower)


def test_the_volume_of_a_ball():
    """Halving squeezes what is held to be null down to the disc, from above."""
    volumes = [
        cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=[Ellipsoid((0.1, 0), (0.5, 0.5), "inside")], depth=k)
        .tiles.volume.sum()
        for k in (6, 10, 14)
    ]  # fmt: skip
    area = np.pi / 4
    assert volumes[0] > volumes[1] > volumes[2] > area
    assert volumes[2] < 1.04 * area


def test_bulges_between_vertices_are_found():
    """All vertices of the box agree, and the null is inside it: it may not be pruned."""
    grid = cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=[Ellipsoid((0.3, 0.2), (0.1, 0.1), "inside")], depth=0)
    assert len(grid.tiles) == 1
    wave = cartesian_grid([0, 0.5], [2 * np.pi, 1], n=1, null_hypos=[Wave(0.9, 1.0)], depth=0)
    assert len(wave.tiles) == 1


def test_directions_that_do_not_matter_are_left_alone():
    grid = cartesian_grid([-1] * 4, [1] * 4, n=1, null_hypos=[RiskDifference(2, 0, -0.1)], depth=6)
    every = np.concatenate([grid.tiles.radius, grid.retired.radius])
    assert (every[:, [1, 3]] == 1).all()
    assert every[:, [0, 2]].min() == 0.125


def test_hypotheses_share_the_halving():
    """Two boundaries across different directions: neither uses up the depth of the other."""
    nulls = [Ellipsoid((0.0, 0.0), (0.33, 9.0), "inside"), Ellipsoid((0.0, 0.0), (9.0, 0.33), "inside")]
    grid = cartesian_grid([0, 0], [1, 1], n=1, null_hypos=nulls, depth=8)
    crossing = grid.tiles.take((np.abs(grid.tiles.theta - 0.33) < grid.tiles.radius).all(axis=1))
    assert (crossing.radius <= 2.0**-4).all()


def test_a_risk_difference_is_what_it_says():
    """Against the difference of probabilities itself, at the corners where it is extreme."""
    generator = np.random.default_rng(0)
    null = RiskDifference(treatment=0, control=1, margin=-0.12)
    ends = np.sort(generator.uniform(-4, 4, (500, 2, 2)), axis=1)
    lower, upper = ends[:, 0], ends[:, 1]
    largest = expit(upper[:, 0]) - expit(lower[:, 1])
    least = expit(lower[:, 0]) - expit(upper[:, 1])
    np.testing.assert_array_equal(null.side(lower, upper), np.where(largest < -0.12, 1, np.where(least > -0.12, -1, 0)))
    assert null.describe() == "expit(theta0) - expit(theta1) <= -0.12"


def test_a_null_that_may_be_nowhere_is_kept_where_it_may_be():
    """A boundary that only touches the region is held to be possible there."""
    grid = cartesian_grid([0, 0], [1, 1], n=4, null_hypos=[Ellipsoid((-1.0, 0.5), (1.0, 1.0), "inside")])
    assert (grid.tiles.theta[:, 0] < 0.25).all()


@pytest.mark.parametrize("depth", [-1, 41, 2.5, True, "deep"])
def test_impossible_depths_are_refused(depth):
    with pytest.raises(InvalidInputError, match=r"depth must be a whole number from 0 to 40; got depth="):
        cartesian_grid([0, 0], [1, 1], null_hypos=[Product()], depth=depth)


def test_too_many_boxes_are_refused():
    with pytest.raises(InvalidInputError, match="Give a smaller depth than 40"):
        create_grid([[0.0] * 4], [1.0] * 4, null_hypos=[Ellipsoid([0.0] * 4, [0.7] * 4)], depth=40)


@dataclass(frozen=True)
class Broken(NullHypothesis):
    """The half-space theta0 <= 0.1, wrong in one way."""

    how: str

    def dist(self, theta):
        distance = 0.1 - theta[..., 0]
        return {
            "one point": lambda: 0.1 - theta[0],
            "one number": lambda: 0.1 - np.sum(theta),
            "words": lambda: np.full(theta.shape[:-1], "far"),
            "complex": lambda: distance + 0j,
            "nan": lambda: np.where(theta[..., 1] > 0.6, np.nan, distance),
            "infinite": lambda: np.where(theta[..., 1] > 0.6, np.inf, distance),
        }.get(self.how, lambda: distance)()

    def side(self, lower, upper):
        sides = {
            "true everywhere": np.ones(len(lower), int),
            "false everywhere": -np.ones(len(lower), int),
            "two": np.full(len(lower), 2),
            "one side": 1,
            "unsure": np.full(len(lower), np.nan),
        }
        return sides.get(self.how, np.zeros(len(lower), int))

    def describe(self):
        return None if self.how == "speechless" else "theta0 <= 0.1"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("one point", r"one real number per point, shape \(4,\) for theta of shape \(4, 2\).*theta\[\.\.\., 0\]"),
        ("one number", "one real number per point"),
        ("words", "one real number per point"),
        ("complex", "one real number per point"),
        ("nan", r"must be finite, but that of 'theta0 <= 0.1' is nan at theta="),
        ("infinite", "must be finite, .* is inf at theta="),
        ("true everywhere", "contradicts itself: it is said to be true all over the box"),
        ("false everywhere", "contradicts itself: it is said to be false all over the box"),
        ("two", "side must return -1, 0 or 1 for every box"),
        ("speechless", "describe must return the hypothesis in words; Broken returned None"),
        ("one side", "side must return -1, 0 or 1 for every box"),
        ("unsure", "side must return -1, 0 or 1 for every box"),
    ],
)
def test_hypotheses_that_are_wrong_are_refused(how, said):
    with pytest.raises(InvalidInputError, match=said):
        cartesian_grid([0, 0], [1, 1], n=3, null_hypos=[Broken(how)])


@pytest.mark.parametrize("steepness", [0.9, 0.5, 0.0])
def test_a_steepness_that_is_too_small_is_refused(steepness):
    with pytest.raises(InvalidInputError, match=r"lipschitz \|a - b\| must hold|contradicts itself"):
        cartesian_grid([0, 0], [1, 1], n=3, null_hypos=[Steep((1.0, 0.0), 0.4, steepness)])


@pytest.mark.parametrize("steepness", [-1.0, np.inf, np.nan])
def test_a_steepness_that_is_no_number_is_refused(steepness):
    class Odd(NullHypothesis):
        lipschitz = steepness

        def dist(self, theta):
            return theta[..., 0]

        def describe(self):
            return "odd"

    with pytest.raises(InvalidInputError, match="must be a finite number that is not negative"):
        cartesian_grid([0, 0], [1, 1], null_hypos=[dataclass(frozen=True)(Odd)()])


def test_without_steepness_or_side_nothing_is_known_of_boxes():
    @dataclass(frozen=True)
    class Unsaid(NullHypothesis):
        def dist(self, theta):
            return theta[..., 0]

        def describe(self):
            return "theta0 >= 0"

    with pytest.raises(InvalidInputError, match="Unsaid needs `lipschitz`"):
        cartesian_grid([0, 0], [1, 1], null_hypos=[Unsaid()])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ellipsoid((0, 0), (1, 0)), "positive radii"),
        (lambda: Ellipsoid((0, np.nan), (1, 1)), "finite centre"),
        (lambda: Ellipsoid((0, 0), (1, 1, 1)), "one of each per parameter"),
        (lambda: Ellipsoid((0, 0), (1, 1), "around"), "null must be 'outside' or 'inside'; got 'around'"),
        (lambda: RiskDifference(1, 1), "two parameters"),
        (lambda: RiskDifference(-1, 0), "two parameters"),
        (lambda: RiskDifference(1.0, 0), "two parameters"),
        (lambda: RiskDifference(1, 0, 1.0), "-1 < margin < 1"),
        (lambda: RiskDifference(1, 0, np.nan), "-1 < margin < 1"),
        (lambda: cartesian_grid([0, 0], [1, 1], null_hypos=[RiskDifference(2, 0)]), "needs theta2"),
        (lambda: cartesian_grid([0, 0], [1, 1], null_hypos=[Ellipsoid((0,), (1,))]), "about 1 parameters"),
    ],
)
def test_impossible_hypotheses_are_refused(make, said):
    with pytest.raises(InvalidInputError, match=said):
        make()


@settings(max_examples=30)
@given(seed=seeds, dim=st.integers(2, 3), n_hypotheses=st.integers(1, 3))
def test_simplices_have_what_may_be_true_in_them(seed, dim, n_hypotheses):
    generator = np.random.default_rng(seed)
    lower, upper = random_region(generator, dim)
    hypotheses = [random_hypothesis(generator, lower, upper) for _ in range(n_hypotheses)]
    try:
        grid = cartesian_grid(lower, upper, n=2, null_hypos=hypotheses, depth=3)
        simplices = triangulate(grid.tiles, grid.hypotheses)
    except InvalidInputError as refusal:
        if "true anywhere" not in str(refusal) and "too thin" not in str(refusal):
            raise
        return
    np.testing.assert_allclose(simplices.volume.sum(), grid.tiles.volume.sum(), rtol=1e-6)
    weights = generator.dirichlet(np.ones(dim + 1), 30)
    points = np.einsum("pk,skd->spd", weights, simplices.vertices)
    curved = split_half_spaces(grid.hypotheses)[1]
    for j, hypothesis in enumerate(grid.hypotheses):
        distance, held = hypothesis.dist(points), simplices.null_truth[:, j]
        assert (distance[~held] < (0 if j in curved else NEAR)).all()
        if j not in curved:
            assert (distance[held] > -NEAR).all()
