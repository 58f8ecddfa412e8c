"""Choose lines of three points that are likely to reveal a wrong family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import ndtri

from adagrid._typing import BoolArray, FloatArray
from adagrid.families import Family
from adagrid.refutation.bet import log_affinity
from adagrid.refutation.region import Region

# Distances from the middle to both ends, in declared standard errors. Lines take them in turn. The short distances are
# for fewer than 512 simulations per point.
_DISTANCES, _SHORT_DISTANCES, _MANY_SIMS = (1.75, 1.25, 1.75), (1.5, 1.0, 1.5), 512
# Share of the region's width over which the gradient is fitted.
_BANDWIDTH = 0.35
# Share of the region's width over which a standard error is measured.
_SMALL = 1e-3
# Share of a normal distribution beyond which no component of a random direction lies.
_TAIL = 1e-3
# Bisections that find the length of a line, and the most shortenings of a line that leaves the region or the family.
_HALVINGS, _SHORTENINGS = 20, 20
# Margin between a line and the border of the region, as a share of its half: more than the rounding of its points.
_MARGIN = 1e-3
# Bits of the coordinates of points, by precision: few enough to make sums and differences of two exact.
_BITS = {"single": 20, "double": 44}


@final
@dataclass(frozen=True)
class Scan:
    """The ranks of the statistic over the region.

    Args:
        theta: points, shape (points, dim).
        rank: mean rank of the statistics at each point among those at all points, between 0 and 1, shape (points,).
    """

    theta: FloatArray
    rank: FloatArray

    @staticmethod
    def of(theta: FloatArray, statistics: FloatArray) -> Scan:
        """Return the scan of statistics, shape (points, sims). Equal statistics share a rank."""
        _, place, count = np.unique(statistics, return_inverse=True, return_counts=True)
        rank = (np.cumsum(count) - (count - 1) / 2) / statistics.size
        return Scan(theta, rank[place.reshape(statistics.shape)].mean(axis=1))

    def most_unusual(self) -> FloatArray:
        """Return the points, the one whose rank is farthest from the median first."""
        return self.theta[np.argsort(-np.abs(self.rank - np.median(self.rank)), kind="stable")]

    def slope(self, at: FloatArray, width: FloatArray, unit: FloatArray) -> FloatArray:
        """Return the gradient of the rank around a point, per unit of each parameter, shape (dim,)."""
        apart = self.theta - at
        weight = np.exp(-((apart / (_BANDWIDTH * width)) ** 2).sum(axis=1) / 4)
        columns = np.column_stack([np.ones(len(apart)), apart / unit])
        fitted, *_ = np.linalg.lstsq(columns * weight[:, None], self.rank * weight, rcond=None)
        return fitted[1:]


@final
@dataclass(frozen=True)
class Lines:
    """Lines of three points each: middle - half, middle, middle + half, all exact in the design's precision.

    Args:
        middle: shape (lines, dim).
        half: shape (lines, dim).
        null_truth: the null configuration at all three points, shape (lines, hypotheses).
    """

    middle: FloatArray
    half: FloatArray
    null_truth: BoolArray

    def __len__(self) -> int:
        return len(self.middle)

    @property
    def points(self) -> FloatArray:
        """The three points of each line, shape (lines, 3, dim)."""
        return self.middle[:, None] + np.array([-1.0, 0.0, 1.0])[:, None] * self.half[:, None]


def choose_lines(
    family: Family, region: Region, scan: Scan, configurations: BoolArray, n_lines: int, n_sims: int, *,
    precision: str, shift: FloatArray,
) -> Lines:  # fmt: skip
    """Choose lines: half around points spread over the region, half where the statistic is most unusual.

    In two and more dimensions every second pair of lines follows the gradient of the statistic's rank, because
    decisions change in this direction. The remaining lines follow an axis or a random direction.

    Args:
        family: the declared family.
        region: the region of the grid.
        scan: the ranks of the statistic over the region.
        configurations: null configurations, which lines take in turn, shape (configurations, hypotheses).
        n_lines: the most lines.
        n_sims: simulations at each point.
        precision: precision of the design, "single" or "double".
        shift: start of the sequence of spread points, shape (dim + 1,), between 0 and 1.

    Returns:
        The lines. A line that does not fit into the region is left out.
    """
    spread = region.spread(len(scan.theta), len(scan.theta) + n_lines, shift)
    unusual = scan.most_unusual()
    distances = _DISTANCES if n_sims >= _MANY_SIMS else _SHORT_DISTANCES
    middles, halves, truths = [], [], []
    for i in range(n_lines):
        around = unusual[i // 2 % len(unusual)] if i % 2 else spread[i]
        direction = _direction(family, region, scan, around, i, spread[i])
        middle, half = _segment(family, region, around, direction, distances[i // 2 % 3], _BITS[precision])
        if half.any():
            middles.append(middle)
            halves.append(half)
            truths.append(configurations[i % len(configurations)])
    shape = (len(middles), family.dim)
    truth = np.array(truths, bool).reshape(len(middles), configurations.shape[1])
    return Lines(np.reshape(middles, shape), np.reshape(halves, shape), truth)


def _direction(
    family: Family, region: Region, scan: Scan, around: FloatArray, number: int, spread: FloatArray
) -> FloatArray:
    """Return the direction of a line, about a standard error long."""
    width = region.width
    with np.errstate(all="ignore"):
        error = _SMALL * width / np.sqrt(-2 * log_affinity(family, around, np.diag(_SMALL * width)))
    error = np.where(np.isfinite(error), error, width)  # near the border of the family
    way: FloatArray
    if number % 4 < 2:
        way = scan.slope(around, width, error)
    elif number % 4 == 2:
        way = np.eye(len(width))[number // 4 % len(width)]
    else:
        way = ndtri(((spread - region.lower) / width).clip(_TAIL, 1 - _TAIL))
    length = float(np.linalg.norm(way))
    return (way / length if length > 0 else np.full(len(way), len(way) ** -0.5)) * error


def _segment(
    family: Family, region: Region, around: FloatArray, direction: FloatArray, distance: float, bits: int
) -> tuple[FloatArray, FloatArray]:
    """Return the middle and the half of a line, with `distance` standard errors to each side where it fits.

    The middle moves into the region as far as the line needs. A half of zeros means that no line fits.
    """

    def placed(t: float) -> tuple[FloatArray, FloatArray]:
        step = (1 + _MARGIN) * t * np.abs(direction)
        return np.clip(around, region.lower + step, region.upper - step), t * direction

    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(direction != 0, region.width / 2 / np.abs(direction) / (1 + _MARGIN), np.inf)
    low, high = 0.0, float(room.min())
    for _ in range(_HALVINGS):
        t = (low + high) / 2
        low, high = (low, t) if _length(family, *placed(t)) > distance else (t, high)
    for _ in range(_SHORTENINGS):
        middle, half = _represented(*placed(low), bits)
        ends = np.stack([middle - half, middle, middle + half])
        if half.any() and family.contains(ends).all() and region.holds(ends).all():
            return middle, half
        low *= 0.75
    return around, np.zeros_like(around)


def _length(family: Family, middle: FloatArray, half: FloatArray) -> float:
    """Return the distance from a line's middle to its ends in standard errors; infinity if an end leaves the family."""
    if not family.contains(np.stack([middle - half, middle, middle + half])).all():
        return np.inf
    return float(np.sqrt(max(-2 * float(log_affinity(family, middle, half)), 0.0)))


def _represented(middle: FloatArray, half: FloatArray, bits: int) -> tuple[FloatArray, FloatArray]:
    """Round a line so that all three points are exact; the half towards 0."""
    largest = np.maximum(np.abs(middle) + np.abs(half), np.finfo(float).tiny)
    step = 2.0 ** (np.ceil(np.log2(largest)) - bits)
    return np.round(middle / step) * step, np.trunc(half / step) * step
