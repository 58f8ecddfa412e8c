"""The region of a job by interpolation: its simplices, and where pilots look first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.engine import MAX_SIMS
from adagrid.families import Family
from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.points import Points
from adagrid.grid.simplices import triangulate
from adagrid.methods.cells.algorithm import Simulated, configurations
from adagrid.methods.cells.fisher import FisherCoordinates
from adagrid.methods.cells.tuning import TUNING

# Simulations of pilot points and of the planned numbers of simulations are multiples of this.
MULTIPLE = 64
# The simulations of all rounds have different numbers in one stream.
_ROUND_AT_MOST = MAX_SIMS / 4


@final
class Region:
    """A region of parameters, cut into simplices.

    Args:
        family: distribution of the data.
        tiles: the tiles of the grid on which a null hypothesis is true.
        hypotheses: the grid's null hypotheses.
    """

    def __init__(self, family: Family, tiles: Tiles, hypotheses: Sequence[NullHypothesis]) -> None:
        self.family = family
        self.simplices = triangulate(tiles, hypotheses)
        corners = self.simplices.vertices.reshape(-1, tiles.dim)
        lower, upper = corners.min(axis=0), corners.max(axis=0)
        # the box around a region may leave the natural parameter space, the mean of points of the region cannot
        box = family.contains((lower + upper) / 2)
        self.fisher = FisherCoordinates(family, lower, upper, None if box else corners.mean(axis=0))
        self._hypotheses = hypotheses

    def look(self) -> tuple[FloatArray, BoolArray]:
        """Return where to look first: a lattice one standard error apart, and corners of the region.

        Returns:
            Parameters, shape (points, dim), and null configurations, shape (points, hypotheses).
        """
        theta, truth = [], []
        different = list(configurations(self.simplices.null_truth))
        lattice = self._lattice(TUNING.most_pilot_points // len(different))
        for configuration, rows in different:
            own = self.simplices.take(rows)
            inside = self.family.contains(lattice)
            for hypothesis, true in zip(self._hypotheses, configuration, strict=False):
                distance = hypothesis.dist(lattice)
                inside &= distance >= 0 if true else distance <= 0
            corners = np.unique(own.vertices.reshape(-1, own.dim), axis=0)
            corners = corners[_spread(len(corners), TUNING.pilot_corners)]
            points = np.concatenate([lattice[inside], own.vertices.mean(axis=1)[: TUNING.pilot_corners], corners])
            theta.append(points)
            truth.append(np.repeat(configuration[None], len(points), axis=0))
        return np.concatenate(theta), np.concatenate(truth)

    def pilot(self, each: int, stream: int) -> Points:
        """Return the first points of a pilot.

        Args:
            each: simulations per point.
            stream: their seed stream.
        """
        return _blocks(*self.look(), stream, 0, each)

    def more_pilot(
        self,
        pilot: Points,
        theta: FloatArray,
        null_truth: BoolArray,
        n_sims: IntArray,
        *,
        enough: float,
        seed: Sequence[int],
    ) -> Points:
        """Return further pilot points, drawn where a plan spends its simulations.

        Args:
            pilot: the pilot so far.
            theta: points of the plan, shape (points, dim).
            null_truth: their null configurations.
            n_sims: their numbers of simulations.
            enough: simulations beyond which more would not make the plan better.
            seed: seed of the choice.
        """
        total = float(n_sims.sum())
        budget = min(
            max(TUNING.pilot_round_share * total, min(TUNING.most_pilot_round_share * total, enough)), _ROUND_AT_MOST
        )
        count = int(np.clip(budget // TUNING.pilot_round_sims, 8, TUNING.pilot_round_points))
        each = int(max(TUNING.pilot_round_sims // 2, budget // count))
        generator = np.random.Generator(np.random.PCG64(list(seed)))
        chosen = generator.choice(len(theta), count, p=n_sims / total)
        used = int((pilot.begin + pilot.n_sims).max())
        return _blocks(theta[chosen], null_truth[chosen], int(pilot.stream[0]), used, each)

    def _lattice(self, most: int) -> FloatArray:
        """Return points in the middle of equal steps of Fisher length one, longer if there would be too many."""
        spacing = TUNING.pilot_spacing
        while True:
            counts = np.maximum(np.ceil(self.fisher.lengths / spacing).astype(int), 2)
            if np.prod(counts) <= most or (counts == 2).all():
                break
            spacing *= 1.1
        axes = [
            (np.arange(count) + 0.5) / count * length for count, length in zip(counts, self.fisher.lengths, strict=True)
        ]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(counts))
        return self.fisher.inverse(places)


def joined(pilot: Simulated, vertices: Simulated, column: str, most: int) -> Simulated:
    """Return a pilot together with at most some of the vertices of passes, which both have a column of counts."""
    some = vertices.take(_spread(len(vertices), most))
    return Simulated(
        Points.concatenate([pilot.points, some.points]), {column: np.concatenate([pilot[column], some[column]])}
    )


def _spread(n: int, most: int) -> IntArray:
    """Return at most some positions among n, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


def _blocks(theta: FloatArray, null_truth: BoolArray, stream: int, used: int, each: int) -> Points:
    """Return pilot points with disjoint simulations of a stream, after those that are used."""
    rounded = -(-each // MULTIPLE) * MULTIPLE
    return Points.apart(theta, null_truth, stream=stream, first=used, each=rounded)
