"""Boxes at curved null boundaries: decide on which side they lie, and halve them until this is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import NullHypothesis
from adagrid.grid.tiles import ROUNDING

MAX_DEPTH, _MOST_BOXES = 40, 500_000
# Weight of a box's shape relative to the change of distances, and the relative difference that is a tie of directions.
_SHAPE, _TIE = 1e-6, 1e-9


@final
@dataclass(frozen=True)
class Halves:
    """Boxes made by halving others.

    Args:
        lower: lower corners, shape (boxes, dim).
        upper: upper corners, shape (boxes, dim).
        part_of: positions of the original boxes, shape (boxes,).
        number: 1 for a box that was not halved. The halves of number k have the numbers 2k and 2k + 1.
    """

    lower: FloatArray
    upper: FloatArray
    part_of: IntArray
    number: IntArray

    def __len__(self) -> int:
        return len(self.number)

    def take(self, index: BoolArray | IntArray) -> Halves:
        """Return the rows that an index selects."""
        return Halves(self.lower[index], self.upper[index], self.part_of[index], self.number[index])

    def halved(self, axis: IntArray) -> Halves:
        """Return both halves of every box across one direction, the lower one first."""
        rows, lower, upper = np.arange(len(axis)), np.repeat(self.lower, 2, axis=0), np.repeat(self.upper, 2, axis=0)
        first, last = self.lower[rows, axis], self.upper[rows, axis]
        middle = first + (last - first) / 2
        upper[2 * rows, axis] = middle
        lower[2 * rows + 1, axis] = middle
        number = 2 * np.repeat(self.number, 2) + np.tile([0, 1], len(rows))
        return Halves(lower, upper, np.repeat(self.part_of, 2), number)


def check_hypothesis(hypothesis: NullHypothesis, lower: FloatArray, upper: FloatArray) -> None:
    """Refuse a curved hypothesis whose methods break a rule.

    `dist` must be vectorised, `lipschitz` must be a number, and `describe` must return text.

    Args:
        hypothesis: a curved hypothesis.
        lower: lower corner of the region.
        upper: upper corner.

    Raises:
        InvalidInputError: naming the broken rule.
    """
    steepness = getattr(hypothesis, "lipschitz", 0.0)
    if not (isinstance(steepness, (int, float, np.number)) and 0 <= steepness < np.inf):
        raise InvalidInputError(
            f"lipschitz, the most that dist changes per unit of theta, must be a finite number that is not negative; "
            f"got {steepness!r} from {type(hypothesis).__name__}."
        )
    if not isinstance(hypothesis.describe(), str):
        raise InvalidInputError(
            f"describe must return the hypothesis in words; {type(hypothesis).__name__} returned "
            f"{hypothesis.describe()!r}."
        )
    # more points than parameters: with equal numbers, theta[0] instead of theta[..., 0] would pass
    _distances(hypothesis, np.linspace(lower, upper, len(lower) + 2))


def decide(hypothesis: NullHypothesis, lower: FloatArray, upper: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return on which side of a boundary boxes lie, enlarged by their rounding errors.

    The answers of `side` are compared with `dist` at the centres of boxes and of their faces.

    Args:
        hypothesis: the hypothesis.
        lower: lower corners, shape (boxes, dim).
        upper: upper corners.

    Returns:
        The answers of `NullHypothesis.side`, shape (boxes,); and the change of the distance from the centre in each
        direction, shape (boxes, dim).

    Raises:
        InvalidInputError: if the hypothesis contradicts itself or gives no numbers, naming a point.
    """
    n, dim = lower.shape
    slack = ROUNDING * np.maximum(np.abs(lower), np.abs(upper))
    side = np.asarray(hypothesis.side(lower - slack, upper + slack))
    if side.shape != (n,) or not np.isin(side, (-1, 0, 1)).all():
        raise InvalidInputError(
            f"side must return -1, 0 or 1 for every box, shape ({n},); {type(hypothesis).__name__} returned "
            f"{_shown(side)}."
        )
    radius = (upper - lower) / 2
    centre = lower + radius
    steps = np.concatenate([np.zeros((1, dim)), np.eye(dim), -np.eye(dim)])
    points = np.clip(centre[:, None] + steps * radius[:, None], lower[:, None], upper[:, None])
    distance = _distances(hypothesis, points.reshape(-1, dim)).reshape(n, -1)
    wrong = np.where(side[:, None] > 0, distance < 0, (side[:, None] < 0) & (distance >= 0))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"{hypothesis.describe()!r} contradicts itself: it is said to be {'true' if side[row] > 0 else 'false'} "
            f"all over the box from {lower[row].tolist()} to {upper[row].tolist()}, but its distance at "
            f"{points[row, column].tolist()} is {distance[row, column]:g}. Correct its lipschitz, side or dist."
        )
    change = np.abs(distance[:, 1:] - distance[:, :1])
    if hasattr(hypothesis, "lipschitz"):
        allowed = float(hypothesis.lipschitz) * np.tile(radius, 2)
        over = change > allowed * (1 + _TIE) + hypothesis.rounding(points, distance).max(axis=1, keepdims=True)
        if over.any():
            row, column = np.argwhere(over)[0]
            raise InvalidInputError(
                f"|dist(a) - dist(b)| <= lipschitz |a - b| must hold, but {hypothesis.describe()!r} has lipschitz="
                f"{float(hypothesis.lipschitz):g} and changes from {distance[row, 0]:g} at {points[row, 0].tolist()} "
                f"to {distance[row, 1 + column]:g} at {points[row, 1 + column].tolist()}. Give a larger lipschitz."
            )
    return side, change.reshape(n, 2, dim).max(axis=1)


def halve(lower: FloatArray, upper: FloatArray, hypotheses: Sequence[NullHypothesis], depth: int) -> Halves:
    """Halve boxes that boundaries may cross.

    It ends when no boundary may cross a box, or a box has been halved `depth` times. A box is halved in the direction
    in which the distance from an undecided boundary changes most, so irrelevant directions are never halved.

    Raises:
        InvalidInputError: if a hypothesis contradicts itself, or there are too many boxes.
    """
    boxes, finished = Halves(lower, upper, np.arange(len(lower)), np.ones(len(lower), np.int64)), []
    region = np.max(upper, axis=0) - np.min(lower, axis=0)
    total, scale = len(lower), None
    for _ in range(depth if hypotheses else 0):
        answers = [decide(hypothesis, boxes.lower, boxes.upper) for hypothesis in hypotheses]
        undecided = np.stack([side == 0 for side, _ in answers], axis=1)
        change = np.stack([changes for _, changes in answers], axis=1)
        if scale is None:  # makes distances of different hypotheses comparable
            scale = np.maximum(change.max(axis=(0, 2)), np.finfo(float).tiny)[:, None]
        crossed: BoolArray = np.any(undecided, axis=1)
        finished.append(boxes.take(~crossed))
        boxes = boxes.take(crossed)
        if not crossed.any():
            break
        total += len(boxes)
        if total > _MOST_BOXES:
            raise InvalidInputError(
                f"Null boundaries cross so many boxes that there would be more than {_MOST_BOXES}. Give a smaller "
                f"depth than {depth} (a classic job divides tiles where it matters), or a smaller n."
            )
        gain = np.max(np.where(undecided[crossed, :, None], change[crossed] / scale, 0.0), axis=1)
        gain += _SHAPE * (boxes.upper - boxes.lower) / region
        boxes = boxes.halved(np.argmax(gain >= gain.max(axis=1, keepdims=True) * (1 - _TIE), axis=1))
    parts = [*finished, boxes]
    return Halves(
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.part_of for part in parts]),
        np.concatenate([part.number for part in parts]),
    )


def _distances(hypothesis: NullHypothesis, points: FloatArray) -> FloatArray:
    """Return the distances of points of shape (points, dim), each a finite number."""
    distance = np.asarray(hypothesis.dist(points))
    if distance.shape != points.shape[:1] or distance.dtype.kind not in "iuf":
        raise InvalidInputError(
            f"dist must return one real number per point, shape ({len(points)},) for theta of shape {points.shape}; "
            f"{type(hypothesis).__name__} returned {_shown(distance)}. Write theta[..., 0] for the first parameter, "
            "and axis=-1 in sums over parameters."
        )
    finite = np.isfinite(distance)
    if not finite.all():
        wrong = int(np.argmin(finite))
        raise InvalidInputError(
            f"dist must be finite, but that of {hypothesis.describe()!r} is {distance[wrong]} at theta="
            f"{points[wrong].tolist()}."
        )
    return distance.astype(float)


def _shown(value: Any) -> str:
    return (
        f"{value.dtype} of shape {value.shape}" if value.size > 9 or value.dtype.kind == "O" else repr(value.tolist())
    )
