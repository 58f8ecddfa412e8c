"""Gather evidence against a declared family: scan the region, choose lines, bet on simulations at their points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from adagrid._typing import BoolArray, FloatArray
from adagrid.families import Family
from adagrid.grid import Tiles
from adagrid.grid.points import Points
from adagrid.refutation.bet import DOUBTED, REFUTED, Wager, combined, in_words, log_affinity, wager
from adagrid.refutation.lines import Lines, Scan, choose_lines
from adagrid.refutation.region import Region

SCAN_STREAM, LINE_STREAM = 2**20, 2**20 + 1
"""Seed streams of the scan and of the bets; searches, pilots and passes use lower numbers."""

_SCAN_POINTS, _SCAN_SIMS = 64, 64
# The most simulations at a point. Evidence that is still between doubt and refutation then remains undecided.
_MOST_SIMS = 2**14

Ask: TypeAlias = Callable[[Points], FloatArray]
"""Simulates points and returns their statistics in the order of the simulations, shape (points, sims)."""


IsNear: TypeAlias = Callable[[FloatArray], BoolArray]
"""Returns which statistics are within rounding of the threshold."""


def never(statistics: FloatArray) -> BoolArray:
    """Return that no statistic is near a threshold, because there is none yet."""
    return np.zeros(statistics.shape, bool)


@final
@dataclass(frozen=True)
class Evidence:
    """The result of bets on all lines.

    Args:
        lines: the lines.
        n_sims: simulations at each of the three points of a line.
        wagers: one per line.
        ties: number of statistics at the points of each line that are within rounding of the threshold.
    """

    lines: Lines
    n_sims: int
    wagers: tuple[Wager, ...]
    ties: tuple[int, ...]

    @property
    def share_of_ties(self) -> float:
        """The share of the simulations on lines that are within rounding of the threshold."""
        return sum(self.ties) / (3 * self.n_sims * max(len(self.lines), 1))

    @property
    def log_value(self) -> float:
        """The logarithm of the e-value."""
        return combined(np.array([each.log_wealth for each in self.wagers]))

    @property
    def refutes(self) -> bool:
        """Whether the family is refuted."""
        return self.log_value >= REFUTED

    @property
    def is_open(self) -> bool:
        """Whether more simulations should decide."""
        return DOUBTED <= self.log_value < REFUTED and self.n_sims < _MOST_SIMS

    @property
    def total_sims(self) -> int:
        """The number of simulations, including the scan."""
        return _SCAN_POINTS * _SCAN_SIMS + 3 * len(self.lines) * self.n_sims

    def __str__(self) -> str:
        """Return the evidence in a few words."""
        verdict = "refuted" if self.refutes else "not refuted"
        return f"{verdict}: {len(self.lines)} lines, {self.total_sims:,} simulations, e = {in_words(self.log_value)}"


@final
@dataclass(frozen=True)
class Inquiry:
    """A test whether simulations contradict a family.

    Args:
        family: the declared family.
        precision: precision of the design, "single" or "double".
        n_lines: number of lines.
        n_sims: first number of simulations at each of the three points of a line.
        seed: the model seed.
    """

    family: Family
    precision: str
    n_lines: int
    n_sims: int
    seed: int

    def lines(self, tiles: Tiles, ask: Ask) -> Lines:
        """Scan the region and choose lines.

        Args:
            tiles: the tiles of the grid, at least one.
            ask: simulates points.
        """
        region, configurations = Region(tiles), configurations_of(tiles)
        shift = np.random.SeedSequence([self.seed, SCAN_STREAM]).generate_state(tiles.dim + 1) / 2.0**32
        theta = region.spread(0, _SCAN_POINTS, shift)
        truth = np.tile(np.logical_or.reduce(configurations), (len(theta), 1))
        scan = Scan.of(theta, ask(Points.apart(theta, truth, stream=SCAN_STREAM, first=0, each=_SCAN_SIMS)))
        return choose_lines(
            self.family, region, scan, configurations, self.n_lines, self.n_sims, precision=self.precision, shift=shift
        )

    def bet(self, lines: Lines, ask: Ask, is_near: IsNear = never) -> Iterator[Evidence]:
        """Bet on simulations, and double their number while the evidence is undecided.

        Args:
            lines: the lines.
            ask: simulates points.
            is_near: returns which statistics are within rounding of the threshold.

        Yields:
            The evidence of all simulations so far; nothing if there are no lines.
        """
        if not len(lines):
            return
        n = self.n_sims
        statistics = ask(self.points(lines, 0, n))
        log_rho = log_affinity(self.family, lines.middle, lines.half)
        while True:
            values = statistics.reshape(len(lines), 3, n)
            wagers = [wager(own, float(log)) for own, log in zip(values, log_rho, strict=True)]
            ties = is_near(statistics).reshape(len(lines), -1).sum(axis=1)
            found = Evidence(lines, n, tuple(wagers), tuple(ties.tolist()))
            yield found
            if not found.is_open:
                return
            statistics = np.concatenate([statistics, ask(self.points(lines, n, 2 * n))], axis=1)
            n *= 2

    def points(self, lines: Lines, begin: int, end: int) -> Points:
        """Return the points of lines in order, each with its own simulations begin to end."""
        theta = lines.points.reshape(-1, self.family.dim)
        truth = np.repeat(lines.null_truth, 3, axis=0)
        return Points.apart(theta, truth, stream=LINE_STREAM, first=begin * len(theta), each=end - begin)


def configurations_of(tiles: Tiles) -> BoolArray:
    """Return the null configurations of tiles, the one with the largest volume first, shape (n, hypotheses)."""
    if not tiles.n_nulls:
        return np.ones((1, 0), bool)
    truth, place = np.unique(tiles.null_truth, axis=0, return_inverse=True)
    volume = np.bincount(place.ravel(), weights=tiles.volume, minlength=len(truth))
    return truth[np.argsort(-volume, kind="stable")]
