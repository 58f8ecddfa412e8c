"""Grids cover their region: volumes, points, smallest boxes and truths, after any number of refinements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from adagrid._typing import BoolArray, FloatArray
from adagrid.errors import HypothesisSyntaxError, InvalidInputError
from adagrid.grid import Grid, HalfSpace, Tiles, cartesian_grid, create_grid
from adagrid.grid.grid import deepen, refine
from tests.support.examples import examples

# How near a boundary the truth at a point is a matter of rounding.
NEAR = 1e-9
seeds = st.integers(0, 2**32 - 1)


class Case(NamedTuple):
    """A region with null hypotheses, and its grid; None where no hypothesis is true anywhere."""

    lower: FloatArray
    upper: FloatArray
    planes: list[HalfSpace]
    grid: Grid | None


def random_plane(generator: np.random.Generator, lower: FloatArray, upper: FloatArray, edges: list) -> HalfSpace:
    """Return a plane: along an axis, oblique, along tile faces, or touching a corner."""
    dim = len(lower)
    kind = generator.choice(["axis", "oblique", "whole numbers", "face", "tile corner", "region corner", "outside"])
    sign = generator.choice([-1.0, 1.0])
    normal = generator.normal(size=dim)
    point = generator.uniform(lower, upper)
    if kind in ("axis", "face"):
        normal = sign * np.eye(dim)[generator.integers(dim)]
    if kind == "whole numbers":
        normal = generator.integers(-2, 3, dim).astype(float)
        normal[generator.integers(dim)] = sign
    if kind in ("face", "tile corner"):
        point = np.array([generator.choice(edge) for edge in edges])
    if kind == "region corner":  # touches the region there and nowhere else
        point = np.where(normal > 0, lower, upper) if sign > 0 else np.where(normal > 0, upper, lower)
    if kind == "outside":
        point = upper + (upper - lower) * np.where(normal > 0, 1, -2)
    return HalfSpace(normal.tolist(), float(normal @ point))


def random_case(seed: int, dim: int, n_planes: int) -> Case:
    generator = np.random.default_rng(seed)
    lower = generator.choice([generator.normal(size=dim), generator.integers(-3, 3, dim).astype(float)])
    upper = lower + generator.choice([1.0, 0.25, 3.0, 7.1], dim)
    n = generator.integers(1, (7, 5, 4, 3)[dim - 1], dim)
    edges = [np.linspace(*ends, k + 1) for *ends, k in zip(lower, upper, n, strict=True)]
    planes: list[HalfSpace] = []
    for _ in range(n_planes):
        more = [*planes, random_plane(generator, lower, upper, edges)]
        planes = planes if only_touch(lower, upper, more) else more
    try:
        grid = cartesian_grid(lower, upper, n=n.tolist(), null_hypos=planes)
    except InvalidInputError as refusal:
        if "none of" not in str(refusal):
            raise
        return Case(lower, upper, planes, None)
    return Case(lower, upper, planes, grid)


def only_touch(lower: FloatArray, upper: FloatArray, planes: list[HalfSpace]) -> bool:
    """Tell whether some of the hypotheses are refused because they are true together only at an edge."""
    try:
        cartesian_grid(lower, upper, n=1, null_hypos=planes)
    except InvalidInputError as refusal:
        return "only at the edge" in str(refusal)
    return False


def truth_at(points: FloatArray, planes: Sequence[HalfSpace]) -> tuple[BoolArray, BoolArray]:
    """Return which hypotheses are true at points, and which points are away from every boundary."""
    if not planes:
        return np.ones((len(points), 1), bool), np.ones(len(points), bool)
    distance = np.stack([plane.dist(points) for plane in planes], axis=1)
    return distance >= 0, (np.abs(distance) > NEAR).all(axis=1)


def in_box(points: FloatArray, tiles: Tiles) -> BoolArray:
    """Tell which points lie in which tiles, shape (points, tiles); the enlarged box is the one that is bounded."""
    vertices = tiles.theta[:, None, :] + tiles.displacements(tiles.theta)
    above = points[:, None, :] >= vertices.min(axis=1)
    return (above & (points[:, None, :] <= vertices.max(axis=1))).all(axis=2)


def assert_covered(points: FloatArray, tiles: Tiles, planes: Sequence[HalfSpace]) -> None:
    """Every point with a true hypothesis is in a tile that has at least its truths, and exactly them if clear."""
    truth, clear = truth_at(points, planes)
    needed = truth.any(axis=1)
    points, truth, clear = points[needed], truth[needed], clear[needed]
    inside = in_box(points, tiles)
    at_least = (tiles.null_truth[None] >= truth[:, None]).all(axis=2)
    exactly = (tiles.null_truth[None] == truth[:, None]).all(axis=2)
    assert (inside & at_least).any(axis=1).all(), points[~(inside & at_least).any(axis=1)]
    assert (inside & exactly).any(axis=1)[clear].all()


def on_planes(points: FloatArray, planes: Sequence[HalfSpace], lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the feet of points on each plane, as far as they are inside the region."""
    feet = [
        points + plane.dist(points)[:, None] * np.array(plane.normal) / np.linalg.norm(plane.normal) for plane in planes
    ]
    every = np.concatenate([np.empty((0, len(lower))), *feet])
    margin = 1e-6 * (upper - lower)
    return every[((every > lower + margin) & (every < upper - margin)).all(axis=1)]


def extremes(lower: FloatArray, upper: FloatArray, planes: Sequence[HalfSpace], truth: BoolArray) -> FloatArray | None:
    """Return the smallest box around a box cut by half-spaces, by linear programming, shape (2, dim)."""
    sign = np.where(truth, 1.0, -1.0)
    rows = [s * np.array(plane.normal) for s, plane in zip(sign, planes, strict=True)]
    right = [s * plane.offset for s, plane in zip(sign, planes, strict=True)]
    ends = np.empty((2, len(lower)))
    for i, (row, direction) in itertools.product(range(len(lower)), enumerate((1.0, -1.0))):
        cost = direction * np.eye(len(lower))[i]
        bounds = list(zip(lower, upper, strict=True))
        solution = linprog(cost, A_ub=rows or None, b_ub=right or None, bounds=bounds, method="highs")
        if solution.status != 0:
            return None
        ends[row, i] = solution.x[i]
    return ends


def crossed_by(lower: FloatArray, upper: FloatArray, planes: Sequence[HalfSpace]) -> int:
    """Return by how many planes a box is crossed, clearly."""
    corners = np.array(list(itertools.product(*zip(lower, upper, strict=True))))
    distance = [plane.dist(corners) for plane in planes]
    return sum(bool(d.min() < -NEAR and d.max() > NEAR) for d in distance)


def assert_smallest_box(
    box: tuple[FloatArray, FloatArray],
    theta: FloatArray,
    radius: FloatArray,
    planes: Sequence[HalfSpace],
    truth: BoolArray,
) -> None:
    """A tile contains what is left of the box; where one plane crosses the box, nothing more than that."""
    best = extremes(*box, planes, truth)
    if best is None:  # nothing is left, within the solver's tolerance
        return
    width = box[1] - box[0]
    assert (theta - radius <= best[0] + 1e-6 * width).all()
    assert (theta + radius >= best[1] - 1e-6 * width).all()
    if crossed_by(*box, planes) <= 1:
        np.testing.assert_allclose((theta - radius - best[0]) / width, 0, atol=1e-6)
        np.testing.assert_allclose((theta + radius - best[1]) / width, 0, atol=1e-6)


dims = st.integers(1, 4)
counts_of_planes = st.integers(0, 3)


# Grids


@settings(max_examples=examples(40), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_a_grid_covers_its_region(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    points = np.random.default_rng(seed + 1).uniform(case.lower, case.upper, (300, dim))
    if case.grid is None:
        truth, clear = truth_at(points, case.planes)
        assert not truth[clear].any()
        return
    assert_covered(points, case.grid.tiles, case.planes)
    for number, plane in enumerate(case.planes):
        others = [other for i, other in enumerate(case.planes) if i != number]
        feet = on_planes(points, [plane], case.lower, case.upper)
        clear = truth_at(feet, others)[1]  # of other boundaries; on its own the hypothesis is true
        truth = np.insert(truth_at(feet[clear], others)[0][:, : len(others)], number, True, axis=1)
        tiles = case.grid.tiles
        good = in_box(feet[clear], tiles) & (tiles.null_truth[None] >= truth[:, None]).all(axis=2)
        assert good.any(axis=1).all()


@pytest.mark.parametrize("steps", range(1, 9))
def test_the_narrowest_tiles_contain_their_ends(steps):
    """From one number to one of the next ones: the differences are exact, but the centre is rounded."""
    lower = np.array([1.0])
    upper = lower + steps * np.finfo(float).eps
    tiles = cartesian_grid(lower, upper, n=1).tiles
    assert (tiles.theta - tiles.radius <= lower).all()
    assert (tiles.theta + tiles.radius >= upper).all()
    assert in_box(np.stack([lower, upper]), tiles).all()


@settings(max_examples=examples(40), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_volumes_of_pieces_sum_to_the_region(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    tiles, retired, n_children = case.grid.tiles, case.grid.retired, case.grid.n_children
    pruned, split = retired.take(n_children == 0), retired.take(n_children > 0)
    region = np.prod(case.upper - case.lower)
    assert tiles.volume.sum() + pruned.volume.sum() == pytest.approx(region, rel=1e-8)
    assert (tiles.volume >= 0).all()
    assert (tiles.radius >= 0).all()
    assert (tiles.volume <= tiles.box_volume * (1 + 1e-8)).all()
    assert tiles.null_truth.any(axis=1).all()
    assert not pruned.null_truth.any()
    born = Tiles.concatenate([tiles, pruned])
    for parent in range(len(split)):
        children = born.parent_id == split.id[parent]
        assert children.sum() == n_children[n_children > 0][parent]
        assert born.volume[children].sum() == pytest.approx(split.volume[parent], rel=1e-8)
    every = np.concatenate([tiles.id, retired.id])
    assert len(np.unique(every)) == len(every)
    assert (every != 0).all()


@settings(max_examples=examples(30), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_volumes_are_shares_of_random_points(seed, dim, n_planes):
    """The volume of each set of truths, by Monte Carlo."""
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    points = np.random.default_rng(seed + 1).uniform(case.lower, case.upper, (4000, dim))
    truth = truth_at(points, case.planes)[0]
    region = np.prod(case.upper - case.lower)
    for sides in itertools.product((False, True), repeat=truth.shape[1]):
        if any(sides):
            share = (truth == sides).all(axis=1).mean()
            volume = case.grid.tiles.volume[(case.grid.tiles.null_truth == sides).all(axis=1)].sum() / region
            assert abs(share - volume) <= 6 * np.sqrt(volume * (1 - min(volume, 1)) / 4000) + 2e-3


@settings(max_examples=examples(30), deadline=None)
@given(seed=seeds, dim=dims, n_planes=st.integers(1, 3))
def test_pieces_have_the_smallest_box(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    retired = case.grid.retired
    born = Tiles.concatenate([case.grid.tiles, retired])
    parents = {int(key): i for i, key in enumerate(retired.id)}
    pieces = [i for i in range(len(born)) if born.parent_id[i]]
    for i in np.random.default_rng(seed).permutation(pieces)[:4]:
        parent = parents[int(born.parent_id[i])]
        box = retired.theta[parent] - retired.radius[parent], retired.theta[parent] + retired.radius[parent]
        assert_smallest_box(box, born.theta[i], born.radius[i], case.planes, born.null_truth[i])


@settings(max_examples=examples(12), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_a_grid_can_be_made_again(seed, dim, n_planes):
    first, second = random_case(seed, dim, n_planes).grid, random_case(seed, dim, n_planes).grid
    if first is None or second is None:
        return
    for one, other in ((first.tiles, second.tiles), (first.retired, second.retired)):
        assert one.to_frame().equals(other.to_frame())
    assert Tiles.from_frame(first.tiles.to_frame()).to_frame().equals(first.tiles.to_frame())


@settings(max_examples=examples(40), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_a_grid_of_given_tiles_covers_them(seed, dim, n_planes):
    """Tiles of unequal sizes that do not touch: each is covered, and its volume kept."""
    generator = np.random.default_rng(seed)
    theta = np.arange(6)[:, None] * 10.0 + generator.normal(size=(6, dim))
    radius = generator.uniform(0.1, 2, (6, dim))
    middle = theta.mean(axis=0)
    normals = generator.normal(size=(n_planes, dim))
    planes = [HalfSpace(normal.tolist(), float(normal @ middle)) for normal in normals]
    try:
        grid = create_grid(theta, radius, null_hypos=planes)
    except InvalidInputError as refusal:  # more planes than parameters, through one point, may point away
        assert n_planes > dim and "only at the edge" in str(refusal)  # noqa: PT017, PT018
        return
    pruned = grid.retired.take(grid.n_children == 0)
    total = grid.tiles.volume.sum() + pruned.volume.sum()
    assert total == pytest.approx(np.prod(2 * radius, axis=1).sum(), rel=1e-8)
    points = (theta[:, None, :] + generator.uniform(-1, 1, (6, 50, dim)) * radius[:, None, :]).reshape(-1, dim)
    assert_covered(points, grid.tiles, planes)


@settings(max_examples=examples(100), deadline=None)
@given(seed=seeds, dim=st.integers(1, 3), n_planes=st.integers(1, 3), lost=st.floats(0, 0.6))
def test_grids_with_gaps_cover_their_edges_or_are_refused(seed, dim, n_planes, lost):
    """Where a hypothesis is true only at a tile's edge, another tile stands for that, or there is no grid."""
    generator = np.random.default_rng(seed)
    whole = cartesian_grid([0.0] * dim, [1.0] * dim, n=3).tiles
    kept = whole.take(np.flatnonzero(generator.uniform(size=len(whole)) >= lost))
    edges = [np.linspace(0, 1, 4)] * dim
    planes = [random_plane(generator, np.zeros(dim), np.ones(dim), edges) for _ in range(n_planes)]
    try:
        tiles = create_grid(kept.theta, kept.radius, null_hypos=planes).tiles
    except InvalidInputError as refusal:
        if "stands for this edge" in str(refusal):  # a gap is why, unless the region's edge is
            assert len(kept) < len(whole)
        return
    corners = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=dim)))
    points = (kept.theta[:, None] + corners * kept.radius[:, None]).reshape(-1, dim)
    assert_covered(points, tiles, planes)


@pytest.mark.parametrize(
    ("theta", "radius", "null", "refused"),
    [
        ([[-3.5], [0.5]], 0.5, "x <= 0", True),
        ([[-0.5], [0.5]], 0.5, "x <= 0", False),
        ([[0.0], [9.5]], 0.5, "x >= 0.5", True),
        ([[0.5, 0.5], [0.5, -0.5]], 0.5, "y <= 0", False),
        ([[0.5, 0.5], [1.0, -0.5]], 0.5, "y <= 0", True),  # half of the edge
        ([[0.5, 0.5], [1.0, -0.5], [0.0, -0.5]], 0.5, "y <= 0", False),  # each half by another tile
        ([[0.5, 0.5], [-0.5, -0.5]], 0.5, "x + y <= 0", False),  # a corner of both
        ([[0.5, 0.5], [-0.5, -1.5]], 0.5, "x + y <= 0", True),
    ],
)
def test_loose_edges(theta, radius, null, refused):
    expected = pytest.raises(InvalidInputError, match="there is no tile beyond it") if refused else nullcontext()
    with expected:
        create_grid(theta, [radius] * len(theta[0]), null_hypos=[null])


def test_hypotheses_true_together_at_a_loose_corner_are_refused():
    """Both hold in parts of the tile [0, 1]^2, together only at (0, 1/2); the tile at their common part is far."""
    planes = [HalfSpace((1.0, -1.0), -0.5), HalfSpace((1.0, 1.0), 0.5)]
    with pytest.raises(InvalidInputError, match="true only at the edge of the tile around theta=.0.5, 0.5"):
        create_grid([[0.5, 0.5], [-3.0, 0.5]], [0.5, 0.5], null_hypos=planes)
    create_grid([[0.5, 0.5], [-0.5, 0.5]], [0.5, 0.5], null_hypos=planes)


def test_one_hypothesis_or_text_may_stand_alone():
    frames = [
        cartesian_grid([-1, -1], [1, 1], n=3, null_hypos=null).tiles.to_frame()
        for null in ("y <= x", ["y <= x"], HalfSpace((-1, 1), 0), [HalfSpace((-1, 1), 0)])
    ]
    assert all(frame.equals(frames[0]) for frame in frames)


def test_without_hypotheses_the_whole_region_is_null():
    grid = cartesian_grid([0, 0], [1, 2], n=(2, 3))
    assert len(grid.tiles) == 6
    assert grid.tiles.null_truth.tolist() == [[True]] * 6
    assert len(grid.retired) == 0
    assert grid.hypotheses == ()


# Planes in awkward places


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    ("lower", "upper", "planes"),
    [
        ([-1.0], [1.0], ["x <= 0", "x >= 0"]),
        ([-1.0, -1.0], [1.0, 1.0], ["x <= y", "x >= y"]),
        ([-1.0, -1.0], [1.0, 1.0], ["x <= 0", "y <= 0", "x + y >= 0"]),
        ([0.0, 0.0], [1.0, 1.0], ["x <= 0", "y <= 0.5"]),
        ([0.0, 0.0], [1.0, 1.0], ["x + y <= 0"]),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], ["x <= 0.5", "x + y + z >= 2.5"]),
    ],
)
def test_hypotheses_that_merely_touch_are_refused(n, lower, upper, planes):
    """Where they are true together no tile would say so: the remedy is to let them overlap."""
    with pytest.raises(InvalidInputError, match="more than a boundary.*overlap a little"):
        cartesian_grid(lower, upper, n=n, null_hypos=planes)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10])
def test_opposite_hypotheses_that_overlap(n):
    """The remedy: both are true in a slab, and after refining still are."""
    planes = [HalfSpace((1.0, 0.0), 0.001), HalfSpace((-1.0, 0.0), 0.001)]
    tiles = cartesian_grid([-1.0, -1.0], [1.0, 1.0], n=n, null_hypos=planes).tiles
    points = np.stack([np.zeros(21), np.linspace(-1, 1, 21)], axis=1)
    assert_covered(points, tiles, planes)
    for _ in range(4):
        tiles, _ = refine(tiles, planes)
    assert_covered(points, tiles, planes)


def test_planes_along_faces_split_nothing():
    grid = cartesian_grid([-1.0, -1.0], [1.0, 1.0], n=4, null_hypos=["x <= 0", "y <= 0.5"])
    assert grid.tiles.parent_id.tolist() == [0] * len(grid.tiles)
    assert grid.tiles.volume.sum() == pytest.approx(2 + 1.5)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_planes_through_corners_split_nothing(dim):
    """sum x <= dim and sum x >= 0 hold all over the unit cube and touch it at corners."""
    planes = [HalfSpace([1.0] * dim, float(dim)), HalfSpace([-1.0] * dim, 0.0)]
    grid = cartesian_grid([0.0] * dim, [1.0] * dim, n=1, null_hypos=planes)
    assert grid.tiles.null_truth.tolist() == [[True, True]]
    assert grid.tiles.volume.tolist() == [1.0]


@pytest.mark.parametrize("gap", [1e-11, 3e-10, 3e-9, 3e-7])
def test_pieces_that_planes_barely_miss_have_no_negative_size(gap):
    """x + y <= 2 - 1e-10 leaves a corner of the unit square that x <= 1 - 1e-10 - gap does not reach."""
    planes = [HalfSpace((1.0, 1.0), 2 - 1e-10), HalfSpace((1.0, 0.0), 1 - 1e-10 - gap)]
    tiles = cartesian_grid([0.0, 0.0], [1.0, 1.0], n=1, null_hypos=planes).tiles
    for _ in range(3):
        assert (tiles.radius >= 0).all()
        assert (tiles.volume >= 0).all()
        assert tiles.volume.sum() == pytest.approx(1.0, rel=1e-6)
        tiles, _ = refine(tiles, planes)


@pytest.mark.parametrize("factor", [1e-250, 1e-170, 1e-30, 1e30, 1e170, 1e250])
def test_the_scale_of_an_inequality_changes_nothing(factor):
    null = HalfSpace((factor, -2 * factor), 0.1 * factor)
    other = HalfSpace((0.0, 1.0), 0.3)
    scaled = cartesian_grid([-1, -1], [1, 1], n=3, null_hypos=[null, other]).tiles
    plain = cartesian_grid([-1, -1], [1, 1], n=3, null_hypos=[HalfSpace((1.0, -2.0), 0.1), other]).tiles
    assert scaled.id.tolist() == plain.id.tolist()
    assert (scaled.null_truth == plain.null_truth).all()
    np.testing.assert_allclose(scaled.volume, plain.volume, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_the_scale_of_the_parameters_changes_nothing(scale, shift):
    """The same picture in other units, and far from the origin."""
    centre = shift * scale
    planes = [HalfSpace((1.0, -2.0), 0.1 * scale - centre), HalfSpace((0.0, 1.0), 0.3 * scale + centre)]
    lower, upper = centre - scale, centre + scale
    scaled = cartesian_grid([lower, lower], [upper, upper], n=3, null_hypos=planes).tiles
    plain = cartesian_grid([-1, -1], [1, 1], n=3, null_hypos=["x - 2*y <= 0.1", "y <= 0.3"]).tiles
    assert scaled.id.tolist() == plain.id.tolist()
    np.testing.assert_allclose(scaled.volume, plain.volume * scale**2, rtol=1e-6)
    np.testing.assert_allclose((scaled.theta - centre) / scale, plain.theta, atol=1e-6)


# Refining and deepening


@settings(max_examples=examples(25), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
@example(seed=6923, dim=3, n_planes=3)  # two planes that barely miss each other in a corner
def test_refining_again_and_again_loses_nothing(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    generator = np.random.default_rng(seed + 2)
    tiles = case.grid.tiles.with_n_sims(1024)
    ever = [tiles.id, case.grid.retired.id]
    points = generator.uniform(case.lower, case.upper, (200, dim))
    total = tiles.volume.sum()
    for _ in range(3):
        chosen = np.sort(generator.permutation(len(tiles))[: int(generator.integers(1, 6))])
        parents = tiles.take(chosen)
        children, parent = refine(parents, case.planes)
        _assert_children(parents, children, parent)
        again, _ = refine(parents, case.planes)
        assert again.to_frame().equals(children.to_frame())
        tiles = Tiles.concatenate([tiles.take(np.setdiff1d(np.arange(len(tiles)), chosen)), children])
        ever.append(children.id)
        assert_covered(points, tiles, case.planes)
        assert tiles.volume.sum() == pytest.approx(total, rel=1e-8)
    ids = np.concatenate(ever)
    assert len(np.unique(ids)) == len(ids)


def _assert_children(parents: Tiles, children: Tiles, parent: FloatArray) -> None:
    """Children partition their parents, lie in them, and take over truths and simulations."""
    assert (np.diff(parent) >= 0).all()
    assert children.parent_id.tolist() == parents.id[parent].tolist()
    assert (children.null_truth == parents.null_truth[parent]).all()
    assert (children.n_sims == parents.n_sims[parent]).all()
    size = np.prod(2 * parents.radius, axis=1)
    volume = np.bincount(parent, children.volume, len(parents))
    np.testing.assert_allclose(volume, parents.volume, rtol=1e-8, atol=1e-8 * size.max())
    reach = np.abs(children.theta - parents.theta[parent]) + children.radius
    slack = 1e-12 * (np.abs(parents.theta) + parents.radius)
    assert (reach <= (parents.radius + slack)[parent]).all()
    assert (children.radius <= (0.5 * parents.radius + slack)[parent]).all()
    assert (children.radius >= 0).all()
    assert (children.volume <= children.box_volume * (1 + 1e-8)).all()


@settings(max_examples=examples(25), deadline=None)
@given(seed=seeds, dim=dims, n_planes=st.integers(1, 3))
def test_refined_pieces_have_the_smallest_box(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    generator = np.random.default_rng(seed + 3)
    split = case.grid.tiles.take(case.grid.tiles.parent_id != 0)
    parents = split.take(generator.permutation(len(split))[:3])
    children, parent = refine(parents, case.planes)
    for i in generator.permutation(len(children))[:4]:
        centre, radius = parents.theta[parent[i]], parents.radius[parent[i]]
        high = children.theta[i] > centre
        box = np.where(high, centre, centre - radius), np.where(high, centre + radius, centre)
        assert_smallest_box(box, children.theta[i], children.radius[i], case.planes, children.null_truth[i])


@settings(max_examples=examples(40), deadline=None)
@given(seed=seeds, dim=dims)
def test_one_plane_children_cover_the_parent_tightly(seed, dim):
    """Random points of a parent's piece lie in its children, down a random path of eight generations."""
    generator = np.random.default_rng(seed)
    normal = generator.normal(size=dim)
    planes = [HalfSpace(normal.tolist(), 0.0)]
    tiles = cartesian_grid([-1.0] * dim, [1.0] * dim, n=1, null_hypos=planes).tiles.with_n_sims(8)
    for _ in range(8):
        parent = tiles.take(generator.integers(len(tiles), size=1))
        children, _ = refine(parent, planes)
        points = parent.theta + generator.uniform(-1, 1, (100, dim)) * parent.radius
        points = points[truth_at(points, planes)[0][:, 0]]
        assert in_box(points, children).any(axis=1).all()
        assert children.volume.sum() == pytest.approx(parent.volume[0], rel=1e-7)
        tiles = children


def test_refining_without_hypotheses_halves_every_direction():
    parents = cartesian_grid([0.0, 0.0, 0.0], [1.0, 2.0, 4.0], n=1).tiles.with_n_sims(64)
    children, parent = refine(parents, ())
    assert parent.tolist() == [0] * 8
    np.testing.assert_allclose(children.radius, np.broadcast_to(parents.radius / 2, (8, 3)))
    np.testing.assert_allclose(children.volume, 1.0)
    _assert_children(parents, children, parent)


def test_refining_nothing_gives_nothing():
    tiles = cartesian_grid([0.0, 0.0], [1.0, 1.0], null_hypos=["x <= y"]).tiles
    children, parent = refine(tiles.take(slice(0, 0)), [HalfSpace((1.0, -1.0), 0.0)])
    assert len(children) == len(parent) == 0
    assert len(deepen(tiles.take(slice(0, 0)))) == 0


@settings(max_examples=examples(30), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_deepening_doubles_simulations_and_nothing_else(seed, dim, n_planes):
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    parents = case.grid.tiles.with_n_sims(512)
    children = deepen(parents)
    assert children.n_sims.tolist() == [1024] * len(parents)
    assert children.parent_id.tolist() == parents.id.tolist()
    for column in ("theta", "radius", "null_truth", "volume"):
        np.testing.assert_array_equal(getattr(children, column), getattr(parents, column))
    refined, _ = refine(parents, case.planes)
    twice = deepen(children)
    ids = np.concatenate([parents.id, case.grid.retired.id, children.id, refined.id, twice.id])
    assert len(np.unique(ids)) == len(ids)


# Vertices


@settings(max_examples=examples(20), deadline=None)
@given(seed=seeds, dim=dims, n_planes=counts_of_planes)
def test_displacements_enclose_the_tile_from_any_point(seed, dim, n_planes):
    """The vertices around a point that single precision represents contain the tile, and barely more."""
    case = random_case(seed, dim, n_planes)
    if case.grid is None:
        return
    tiles = case.grid.tiles
    points = tiles.theta.astype(np.float32).astype(float)
    vertices = points[:, None, :] + tiles.displacements(points)
    assert vertices.shape == (len(tiles), 2**dim, dim)
    slack = 1e-11 * (1 + np.abs(tiles.theta) + tiles.radius)
    for end, bound in (
        (vertices.min(axis=1), tiles.theta - tiles.radius),
        (vertices.max(axis=1), tiles.theta + tiles.radius),
    ):
        assert (np.abs(end - bound) <= slack).all()
    assert (vertices.min(axis=1) <= tiles.theta - tiles.radius).all()
    assert (vertices.max(axis=1) >= tiles.theta + tiles.radius).all()


# Refusals


def refusal_of(function, *args, **kwargs) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as refusal:
        function(*args, **kwargs)
    return refusal.value


def test_all_wrong_coordinates_are_reported_at_once():
    refusal = refusal_of(cartesian_grid, [0, 3.5, 2, np.nan], [1, 1.25, 2, np.inf], n=-6)
    assert len(refusal.problems) == 4
    for index, values in ((1, "3.5 1.25"), (2, "2 2"), (3, "nan inf")):
        (problem,) = (text for text in refusal.problems if f"theta_min[{index}]" in text)
        assert f"theta_max[{index}]" in problem
        assert all(value in problem for value in values.split())
    assert any("n=-6" in problem for problem in refusal.problems)
    assert "theta_min[0]" not in str(refusal)


@pytest.mark.parametrize(
    ("lower", "upper", "received"),
    [
        ([0.75], [0.25], "0.75"),
        ([0.75], [0.75], "0.75"),
        ([np.nan], [1], "nan"),
        ([-np.inf], [1], "-inf"),
        ([0, 0], [1, np.inf], "inf"),
        ([0, 7], [1], "[0, 7]"),
        ([], [], "[]"),
        ([[0.0, 7.0]], [[1.0, 8.0]], "[[0.0, 7.0]]"),
        (["low"], ["high"], "low"),
    ],
)
def test_impossible_regions_are_refused(lower, upper, received):
    assert received in str(refusal_of(cartesian_grid, lower, upper))


@pytest.mark.parametrize("n", [0, -2, 2.5, (3, 0), (3, 4, 5), (), ((3, 4),), "many", None, True, np.nan])
def test_impossible_numbers_of_tiles_are_refused(n):
    assert f"got n={n}" in str(refusal_of(cartesian_grid, [0, 0], [1, 1], n=n))


@pytest.mark.parametrize(
    ("theta", "radius", "received"),
    [
        ([0.25, 0.5], [1.0], "(2,)"),
        ([], [1.0], "(0,)"),
        (np.empty((0, 2)), [1.0, 1.0], "(0, 2)"),
        ([[0.25, 0.5]], [1.0, 2.0, 3.0], "(3,)"),
        ([[0.25]], [0.0], "0.0"),
        ([[0.25]], [-1.5], "-1.5"),
        ([[0.25], [0.5]], [[1.0], [-1.5]], "-1.5"),
        ([[np.nan]], [1.0], "nan"),
        ([[np.inf]], [1.0], "inf"),
        ([[0.25]], [np.nan], "nan"),
        ([[0.25]], [np.inf], "inf"),
        ([[0.25], [7.5], [0.25]], [1.0], "0.25"),
        ([["low"]], [1.0], "low"),
    ],
)
def test_impossible_tiles_are_refused(theta, radius, received):
    message = str(refusal_of(create_grid, theta, radius))
    assert received in message.partition("got")[2]


@pytest.mark.parametrize("null", ["x <= y", "theta4 >= 0.5", HalfSpace((0.0, 0.0, 2.0), 1.0)])
def test_hypotheses_about_missing_parameters_are_refused(null):
    shown = (
        null if isinstance(null, HalfSpace) else cartesian_grid([0] * 5, [1] * 5, n=1, null_hypos=[null]).hypotheses[0]
    )
    name = f"theta{max(i for i, weight in enumerate(shown.normal) if weight)}"
    for refusal in (
        refusal_of(cartesian_grid, [0], [1], null_hypos=["x <= 0.5", null]),
        refusal_of(create_grid, [[0.5]], [0.5], null_hypos=null),
    ):
        assert f"uses {name}" in str(refusal)
        assert "1 parameter" in str(refusal)
        assert shown.describe() in str(refusal)


def test_unreadable_hypotheses_are_refused():
    with pytest.raises(HypothesisSyntaxError, match="x \\* x <= 1"):
        cartesian_grid([0], [1], null_hypos=["x * x <= 1"])


@pytest.mark.parametrize("wrong", [3, None, ("x", 1)])
def test_hypotheses_of_another_type_are_refused(wrong):
    assert repr(wrong) in str(refusal_of(cartesian_grid, [0], [1], null_hypos=[wrong]))


@pytest.mark.parametrize("nulls", [["x <= -1"], ["x >= 1.5", "y >= 1.75"], ["x + y >= 2"], ["x <= 0"]])
def test_a_region_without_a_null_is_refused(nulls):
    refusal = refusal_of(cartesian_grid, [0, 0], [1, 1], null_hypos=nulls)
    for null in nulls:
        described = cartesian_grid([-9, -9], [9, 9], n=1, null_hypos=[null]).hypotheses[0].describe()
        assert described in str(refusal)
