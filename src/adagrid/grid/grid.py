"""Cover a region with tiles, split them at null boundaries, and prune tiles on which no hypothesis is true.

Half-spaces cut tiles exactly. Curved boundaries do not cut tiles: the grid halves the tiles that they may cross. If a
boundary may still cross a tile, its hypothesis counts as true there, which is the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from adagrid._checks import real_numbers, whole_numbers
from adagrid._numpy_settings import usual_numpy_errors
from adagrid._typing import Array, ArrayLike, BoolArray, FloatArray, IdArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.boundaries import MAX_DEPTH, Halves, check_hypothesis, decide, halve
from adagrid.grid.clip import clip, crossings
from adagrid.grid.definition import definition
from adagrid.grid.hypotheses import NullHypothesis, split_half_spaces
from adagrid.grid.hypothesis_text import hypo
from adagrid.grid.ids import NO_PARENT, Descent, tile_ids
from adagrid.grid.scales import Scale, checked_scales, hypothesis_in_natural, to_natural
from adagrid.grid.tiles import Tiles
from adagrid.grid.touching import refuse_loose_edges, refuse_touching

# Of all tiles that a grid begins with: each takes some hundred bytes per parameter, as often as jobs copy it.
_MOST_NUMBERS = 10**8
# The parameters and hypotheses that `repr` shows.
_SHOWN = 4


@final
@dataclass(frozen=True)
class Grid:
    """A region of parameters, covered by tiles.

    Make one with `cartesian_grid` or `create_grid`.

    Args:
        tiles: the tiles to simulate, on which a null hypothesis is true or may be true.
        retired: the tiles that are not simulated: a null boundary split them, or no null hypothesis is true on them.
        n_children: number of tiles that each retired tile was split into, 0 for pruned tiles, shape (retired,).
        hypotheses: the null hypotheses. If there are none, the whole region is one null hypothesis. A grid for power
            has the alternatives instead: `null_truth` of a tile says which alternatives hold.
        of_alternatives: whether `hypotheses` are alternatives.
        scales: the scale in which each parameter was stated; None if no scale was given.

    Examples:
        >>> grid = ada.cartesian_grid([-1, -1], [1, 1], n=4, null_hypos=["theta1 <= theta0"])
        >>> grid
        <Grid: 10 tiles, theta0 -1 to 1, theta1 -1 to 1; null: theta1 - theta0 <= 0>
        >>> grid.dim, len(grid.tiles)
        (2, 10)
    """

    tiles: Tiles
    retired: Tiles
    n_children: IntArray
    hypotheses: tuple[NullHypothesis, ...]
    of_alternatives: bool = False
    scales: tuple[Scale, ...] | None = None

    def __repr__(self) -> str:
        """Return the number of tiles, the region and the hypotheses in one line."""
        lower, upper = (self.tiles.theta - self.tiles.radius).min(axis=0), (self.tiles.theta + self.tiles.radius).max(0)
        box = [f"theta{i} {low:.4g} to {high:.4g}" for i, (low, high) in enumerate(zip(lower, upper, strict=True))]
        region = ", ".join(box if self.dim <= _SHOWN else [*box[:_SHOWN], f"{self.dim} parameters in all"])
        label = "alternatives" if self.of_alternatives else "null"
        texts = [each.describe() for each in self.hypotheses]
        texts = texts if len(texts) <= _SHOWN else [*texts[:_SHOWN], f"{len(texts)} in all"]
        return f"<Grid: {len(self.tiles):,} tiles, {region}; {label}: {'; '.join(texts) or 'everywhere'}>"

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.tiles.dim


def cartesian_grid(
    theta_min: ArrayLike,
    theta_max: ArrayLike,
    *,
    n: int | Sequence[int] = 4,
    null_hypos: Sequence[NullHypothesis | str] | None = None,
    alternatives: Sequence[NullHypothesis | str] | None = None,
    depth: int | None = None,
    scale: Scale | Sequence[Scale] | None = None,
) -> Grid:
    """Cover a box with equal tiles.

    Args:
        theta_min: lower corner of the region, one number per parameter.
        theta_max: upper corner.
        n: tiles in every direction, or one number per direction.
        null_hypos: null hypotheses, as text for `hypo` or objects; by default the whole region is null.
        alternatives: the alternatives, to bound power instead of the error: one for each hypothesis of the design, in
            the design's order, as text or objects. Power is bounded where at least one alternative holds.
        depth: the most times a tile is halved where a curved null boundary may cross it; by default twice per
            parameter. On tiles that remain undecided the hypothesis counts as true.
        scale: the scale of the corners and of hypotheses as text, one for all parameters or one for each:
            "probability" (response rates, whose logits are natural parameters), "rate" (event rates, whose logarithms
            are natural parameters), "mean" or "natural". None means natural. A job refuses None if the numbers may be
            response rates.

    Raises:
        InvalidInputError: if the corners or numbers of tiles break a rule, or no hypothesis is true anywhere.

    Examples:
        Response rates of control and treatment between 20% and 40%:

        >>> ada.cartesian_grid(
        ...     [0.2, 0.2], [0.4, 0.4], n=2, null_hypos=["theta1 <= theta0"], scale="probability"
        ... )
        <Grid: 3 tiles, theta0 -1.386 to -0.4055, theta1 -1.386 to -0.4055; null: theta1 - theta0 <= 0>
    """
    lower = np.atleast_1d(real_numbers("theta_min", theta_min))
    upper = np.atleast_1d(real_numbers("theta_max", theta_max))
    problems = []
    if lower.ndim != 1 or lower.shape != upper.shape or lower.size == 0:
        raise InvalidInputError(
            f"theta_min and theta_max must have one number per parameter; got {theta_min} and {theta_max}."
        )
    for i in range(lower.size):
        if not (np.isfinite(lower[i]) and np.isfinite(upper[i])):
            problems.append(f"The region must be finite; got theta_min[{i}]={lower[i]}, theta_max[{i}]={upper[i]}.")
        elif lower[i] >= upper[i]:
            problems.append(
                f"theta_min < theta_max must hold; got theta_min[{i}]={lower[i]:g}, theta_max[{i}]={upper[i]:g}."
            )
    try:
        counts = whole_numbers("n", n)
        if counts.size not in (1, lower.size):
            problems.append(f"n must be one number, or one for each of {lower.size} parameters; got n={n}.")
    except InvalidInputError as error:
        problems.extend(error.problems)
    if problems:
        raise InvalidInputError(problems)
    counts = np.broadcast_to(counts, lower.shape)
    _check_size(counts)
    scales = checked_scales(scale, lower.size)
    lower, upper = to_natural("theta_min", lower, scales), to_natural("theta_max", upper, scales)
    edges = [np.linspace(lower[i], upper[i], int(count) + 1) for i, count in enumerate(counts)]
    corners = [
        np.stack(np.meshgrid(*side, indexing="ij"), axis=-1).reshape(-1, lower.size)
        for side in ([e[:-1] for e in edges], [e[1:] for e in edges])
    ]
    return _grid(corners[0], corners[1], null_hypos, alternatives, depth, scales)


def create_grid(
    theta: ArrayLike,
    radius: ArrayLike,
    *,
    null_hypos: Sequence[NullHypothesis | str] | None = None,
    alternatives: Sequence[NullHypothesis | str] | None = None,
    depth: int | None = None,
    scale: Scale | Sequence[Scale] | None = None,
) -> Grid:
    """Cover a region with given tiles.

    Args:
        theta: centres, shape (tiles, dim).
        radius: half-widths, shape (tiles, dim) or (dim,).
        null_hypos: see `cartesian_grid`.
        alternatives: see `cartesian_grid`.
        depth: see `cartesian_grid`.
        scale: see `cartesian_grid`; here of `theta`, `radius` and hypotheses as text.

    Raises:
        InvalidInputError: if shapes or numbers break a rule, tiles are given twice, or no hypothesis is true anywhere.

    Examples:
        >>> ada.create_grid(theta=[[-0.75], [-0.25]], radius=[0.25], null_hypos=["theta0 <= 0"])
        <Grid: 2 tiles, theta0 -1 to 0; null: theta0 <= 0>
    """
    centres = real_numbers("theta", theta)
    if centres.ndim != 2 or 0 in centres.shape:
        raise InvalidInputError(f"theta must have the shape (tiles, parameters); got {centres.shape}.")
    try:
        widths: FloatArray = np.broadcast_to(real_numbers("radius", radius), centres.shape)
    except ValueError:
        raise InvalidInputError(
            f"radius must have the shape of theta, {centres.shape}, or one number per parameter; "
            f"got {np.shape(radius)}."
        ) from None
    sound = np.isfinite(centres).all(axis=1) & (np.isfinite(widths) & (widths > 0)).all(axis=1)
    if not sound.all():
        wrong = int(np.argmin(sound))
        raise InvalidInputError(
            "Tiles need finite centres, and finite radii above zero in every direction; got "
            f"theta={centres[wrong].tolist()}, radius={widths[wrong].tolist()}."
        )
    _, first, times = np.unique(
        np.concatenate([centres, widths], axis=1), axis=0, return_index=True, return_counts=True
    )
    if (times > 1).any():
        twice = int(first[times > 1][0])
        raise InvalidInputError(
            f"Every tile may be given once; got theta={centres[twice].tolist()}, radius={widths[twice].tolist()} "
            f"{int(times.max())} times."
        )
    scales = checked_scales(scale, centres.shape[1])
    lower, upper = (to_natural("theta", ends, scales) for ends in (centres - widths, centres + widths))
    return _grid(lower, upper, null_hypos, alternatives, depth, scales, gaps=True)


@usual_numpy_errors
def _grid(
    lower: FloatArray,
    upper: FloatArray,
    null_hypos: Sequence[NullHypothesis | str] | None,
    alternatives: Sequence[NullHypothesis | str] | None,
    depth: int | None,
    scales: tuple[Scale, ...] | None,
    *,
    gaps: bool = False,
) -> Grid:
    if null_hypos and alternatives:
        raise InvalidInputError(
            f"A grid has null hypotheses, for errors, or alternatives, for power; got null_hypos={null_hypos!r} and "
            f"alternatives={alternatives!r}. Make a grid for each."
        )
    hypotheses = _checked(alternatives or null_hypos, lower.min(axis=0), upper.max(axis=0), scales)
    planes, curved = split_half_spaces(hypotheses)
    if alternatives and curved and len(hypotheses) > 1:
        raise InvalidInputError(
            "Several alternatives must be half-spaces: where a curved one may hold beside another, it would count as "
            f"holding, which overstates power; got {[each.describe() for each in curved.values()]}. Bound the power "
            "for each alternative on a grid of its own."
        )
    cuts = list(planes.values())
    if gaps:
        refuse_loose_edges(cuts, lower, upper)
    boxes = halve(lower, upper, list(curved.values()), _checked_depth(depth, lower.shape[1]))
    true, false = crossings(lower, upper, cuts)
    truth = np.ones((len(lower), max(len(hypotheses), 1)), bool)
    truth[:, list(planes)] = true & ~false
    roots = decided(_tiles(lower, upper, truth, Descent.ROOT, np.arange(len(lower))), hypotheses)
    true, false = crossings(boxes.lower, boxes.upper, cuts)
    boxes = boxes.take(np.any(true & false, axis=1) | (boxes.number > 1))
    replaced = np.isin(np.arange(len(lower)), boxes.part_of)
    parts, n_children = [roots.take(~replaced)], np.zeros(len(lower), np.int64)
    for pieces, part_of in _pieces(boxes, roots.id, hypotheses) if len(boxes) else ():
        parts.append(decided(pieces, hypotheses))
        n_children += np.bincount(part_of, minlength=len(lower))
    tiles = Tiles.concatenate(parts)
    null: BoolArray = np.any(tiles.null_truth, axis=1)
    if not null.any():
        holds = "an alternative holds" if alternatives else "a null hypothesis is true"
        raise InvalidInputError(
            f"A grid needs a tile on which {holds}; none of "
            f"{[hypothesis.describe() for hypothesis in hypotheses]} is true anywhere in the region. Check the "
            "direction of the inequality and the region."
        )
    pruned = tiles.take(~null)
    return Grid(
        tiles=tiles.take(null),
        retired=Tiles.concatenate([roots.take(replaced), pruned]),
        n_children=np.concatenate([n_children[replaced], np.zeros(len(pruned), np.int64)]),
        hypotheses=hypotheses,
        of_alternatives=bool(alternatives),
        scales=scales,
    )


def _pieces(boxes: Halves, roots: IdArray, hypotheses: Sequence[NullHypothesis]) -> Iterator[tuple[Tiles, IntArray]]:
    """Cut boxes by the half-spaces, and yield the pieces for every choice of sides.

    Each piece comes with the number of the root that it is part of.

    Args:
        boxes: parts of the roots, or roots.
        roots: ids of the roots.
        hypotheses: the null hypotheses; curved hypotheses count as true on all pieces.
    """
    planes, _ = split_half_spaces(hypotheses)
    cuts, columns = list(planes.values()), list(planes)
    true, false = crossings(boxes.lower, boxes.upper, cuts)
    for number, sides in enumerate(itertools.product((True, False), repeat=len(cuts))):
        inside = np.broadcast_to(np.asarray(sides, bool), true.shape)
        # sides that do not cross a box are decided by the box
        possible = np.where(inside, true, false).all(axis=1)
        pieces = clip(boxes.lower, boxes.upper, cuts, inside)
        keep = np.flatnonzero(possible & ~pieces.empty)
        truth = np.ones((len(keep), len(hypotheses)), bool)
        truth[:, columns] = inside[keep]
        part_of = boxes.part_of[keep]
        child = (boxes.number[keep] - 1) * 2 ** len(cuts) + number
        volume = pieces.volume[keep]
        born = _tiles(pieces.lower[keep], pieces.upper[keep], truth, Descent.SPLIT, child, roots[part_of], volume)
        yield born, part_of


def decided(tiles: Tiles, hypotheses: Sequence[NullHypothesis]) -> Tiles:
    """Return tiles on which curved hypotheses count as false if they are true nowhere on the tile.

    Half-spaces stay unchanged: each tile lies on one side of them.

    Raises:
        InvalidInputError: if a hypothesis contradicts itself.
    """
    _, curved = split_half_spaces(hypotheses)
    truth = tiles.null_truth.copy()
    for j, hypothesis in curved.items():
        rows = np.flatnonzero(truth[:, j])
        theta, radius = tiles.theta[rows], tiles.radius[rows]
        if len(rows):
            truth[rows, j] = decide(hypothesis, theta - radius, theta + radius)[0] >= 0
    return replace(tiles, null_truth=truth) if curved else tiles


def overcounted(
    theta: FloatArray, radius: FloatArray, null_truth: BoolArray, hypotheses: Sequence[NullHypothesis]
) -> BoolArray:
    """Return which boxes count a hypothesis as true that is false somewhere, along with other hypotheses.

    Upper bounds of errors are safe there. Lower bounds are not: fewer rejections may be errors.

    Args:
        theta: centres, shape (boxes, dim).
        radius: half-widths, same shape.
        null_truth: which hypotheses count as true, shape (boxes, hypotheses).
        hypotheses: the null hypotheses.

    Returns:
        Shape (boxes,).
    """
    _, curved = split_half_spaces(hypotheses)
    over = np.zeros(len(theta), bool)
    for j, hypothesis in curved.items():
        rows = np.flatnonzero(null_truth[:, j] & (null_truth.sum(axis=1) > 1))
        if len(rows):
            over[rows] |= decide(hypothesis, theta[rows] - radius[rows], theta[rows] + radius[rows])[0] <= 0
    return over


def refine(parents: Tiles, hypotheses: Sequence[NullHypothesis]) -> tuple[Tiles, IntArray]:
    """Halve tiles in every direction.

    A child represents the part of its parent in one half of every direction. If a null boundary cuts this part, the
    child's box is the smallest box around the rest, and an empty child does not exist. Curved hypotheses are decided
    again on each child. A child may have no true hypothesis left.

    Args:
        parents: the tiles to refine.
        hypotheses: the null hypotheses of the grid.

    Returns:
        The children, grouped by parent in the order of the parents; and the position of each child's parent, shape
        (children,).
    """
    halves = np.array(list(itertools.product((-1.0, 1.0), repeat=parents.dim)))
    n = len(halves)
    parent = np.repeat(np.arange(len(parents)), n)
    number = np.tile(np.arange(n), len(parents))
    centre, upper_half = parents.theta[parent], halves[number] > 0
    lower = np.where(upper_half, centre, centre - parents.radius[parent])
    upper = np.where(upper_half, centre + parents.radius[parent], centre)
    truth = parents.null_truth[parent]
    planes, _ = split_half_spaces(hypotheses)
    if planes:
        pieces = clip(lower, upper, list(planes.values()), truth[:, list(planes)])
        keep = np.flatnonzero(~pieces.empty)
        lower, upper, volume = pieces.lower, pieces.upper, pieces.volume
    else:
        keep, volume = np.arange(len(parent)), np.prod(upper - lower, axis=1)
    parent, number = parent[keep], number[keep]
    children = _tiles(
        lower[keep],
        upper[keep],
        truth[keep],
        Descent.REFINE,
        number,
        parents.id[parent],
        volume[keep],
        parents.n_sims[parent],
    )
    return decided(children, hypotheses), parent


def deepen(parents: Tiles) -> Tiles:
    """Replace every tile by the same tile with twice the simulations."""
    return Tiles(
        id=tile_ids(parents.id, np.zeros(len(parents)), Descent.DEEPEN),
        parent_id=parents.id,
        theta=parents.theta,
        radius=parents.radius,
        null_truth=parents.null_truth,
        n_sims=2 * parents.n_sims,
        volume=parents.volume,
    )


def _checked(
    null_hypos: Sequence[NullHypothesis | str] | None,
    lower: FloatArray,
    upper: FloatArray,
    scales: tuple[Scale, ...] | None,
) -> tuple[NullHypothesis, ...]:
    """Return the hypotheses of a region, or raise what is wrong with one of them."""
    if isinstance(null_hypos, (str, NullHypothesis)):
        null_hypos = [null_hypos]
    hypotheses = []
    for given in null_hypos or ():
        hypothesis = hypothesis_in_natural(hypo(given), scales) if isinstance(given, str) else given
        if not isinstance(hypothesis, NullHypothesis):
            raise InvalidInputError(
                f"A hypothesis must be a NullHypothesis (such as HalfSpace) or text for hypo; got {given!r}."
            )
        hypotheses.append(hypothesis.in_dimension(len(lower)))
    planes, curved = split_half_spaces(hypotheses)
    refuse_touching(list(planes.values()), lower, upper)
    for hypothesis in curved.values():
        definition(hypothesis)  # what cannot be written down cannot be part of a job
        check_hypothesis(hypothesis, lower, upper)
    return tuple(hypotheses)


def _check_size(counts: IntArray) -> None:
    """Refuse grids that no machine holds before memory is asked for them."""
    n_tiles = math.prod(map(int, counts))
    if n_tiles * len(counts) > _MOST_NUMBERS:
        sides = " x ".join(f"{count:,}" for count in counts)
        raise InvalidInputError(
            f"A grid may begin with {_MOST_NUMBERS // len(counts):,} tiles of {len(counts)} parameters; got n={sides}, "
            f"which are {n_tiles:,} tiles. Give a smaller n: tiles are split where that pays, and "
            "method='interpolated' needs few to begin with."
        )


def _checked_depth(depth: int | None, dim: int) -> int:
    if depth is None:
        return 2 * dim
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not 0 <= depth <= MAX_DEPTH:
        raise InvalidInputError(f"depth must be a whole number from 0 to {MAX_DEPTH}; got depth={depth!r}.")
    return int(depth)


def _tiles(
    lower: FloatArray,
    upper: FloatArray,
    null_truth: BoolArray,
    descent: Descent,
    number: Array,
    parents: Array | None = None,
    volume: FloatArray | None = None,
    n_sims: IntArray | None = None,
) -> Tiles:
    """Make tiles from boxes. The radius is rounded up so that the tile contains its box."""
    parent_id = np.full(len(lower), NO_PARENT) if parents is None else parents
    theta = lower + (upper - lower) / 2
    return Tiles(
        id=tile_ids(parent_id, number, descent),
        parent_id=parent_id,
        theta=theta,
        radius=np.maximum(upper - theta, theta - lower),
        null_truth=null_truth,
        n_sims=np.zeros(len(lower), np.int64) if n_sims is None else n_sims,
        volume=np.prod(upper - lower, axis=1) if volume is None else volume,
    )
