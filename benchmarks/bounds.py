"""The tilt bound and its inverse on many tiles, against a search per tile with SciPy.

    python benchmarks/bounds.py

Four binomial arms, so 16 vertices a tile. Prints markdown tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import minimize_scalar

from adagrid import Binomial
from adagrid._typing import FloatArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound
from adagrid.families import Family
from measuring import Neighbours, Times, in_ms, interleaved, machine, seconds, table, times_as_fast

_FAMILY = Binomial((50, 50, 50, 50))
_ALPHA = 0.025
# Ends of the search for log(q - 1).
_ENDS = (-8.0, 22.0)


@final
@dataclass(frozen=True)
class Subject:
    """A bound: the project's form for all tiles, and what to minimise over log(q - 1) on one tile.

    Args:
        name: name for the table.
        bound: family, theta, displacements and levels to bounds.
        objective: growth K(q v)/q - K(v) of every vertex, log of the level and q to a number.
        sign: bound = exp(sign * minimum).
    """

    name: str
    bound: Callable[[Family, FloatArray, FloatArray, FloatArray], FloatArray]
    objective: Callable[[FloatArray, float, float], float]
    sign: float


@final
@dataclass(frozen=True)
class Tiles:
    """Random tiles: points, vertices minus points, and levels at the points."""

    theta: FloatArray
    displacements: FloatArray
    level: FloatArray

    @staticmethod
    def random(n: int) -> Tiles:
        """Return tiles with logits in [-2, 1], half-widths in [0.005, 0.1] and levels in [0.001, 0.1]."""
        rng = np.random.default_rng(0)
        dim = _FAMILY.dim
        corners = np.array(np.meshgrid(*[(-1.0, 1.0)] * dim)).reshape(dim, -1).T
        radius = rng.uniform(0.005, 0.1, (n, 1, dim))
        return Tiles(rng.uniform(-2, 1, (n, dim)), corners * radius, rng.uniform(0.001, 0.1, n))

    def first(self, n: int) -> Tiles:
        """Return the first tiles."""
        return Tiles(self.theta[:n], self.displacements[:n], self.level[:n])

    def __len__(self) -> int:
        return len(self.theta)

    def __iter__(self) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        return zip(self.theta, self.displacements, self.level.tolist(), strict=True)


def subjects() -> tuple[Subject, ...]:
    """Return the bounds that are measured."""
    return (
        Subject("tilt_bound", tilt_bound, lambda growth, log_a, q: float(max((1 - 1 / q) * log_a + growth)), 1.0),
        Subject(
            "inverse_tilt_bound",
            lambda family, theta, displacements, level: inverse_tilt_bound(
                family, theta, displacements, np.full(len(level), _ALPHA)
            ),
            lambda growth, _, q: float(max(q / (q - 1) * (growth - np.log(_ALPHA)))),
            -1.0,
        ),
    )


def one_by_one(subject: Subject, tiles: Tiles) -> FloatArray:
    """Bound every tile by a scalar search of its own, as the formula reads."""
    bounds = np.empty(len(tiles))
    for i, (theta, displacements, level) in enumerate(tiles):
        found = minimize_scalar(_objective(subject, theta, displacements, level), bounds=_ENDS, method="bounded")
        bounds[i] = np.exp(subject.sign * found.fun)
    return bounds


def _objective(subject: Subject, theta: FloatArray, v: FloatArray, level: float) -> Callable[[float], float]:
    here, at_vertices, log_level = log_partition(theta), log_partition(theta + v), np.log(level)

    def objective(log_excess: float) -> float:
        q = 1 + np.exp(log_excess)
        growth = (log_partition(theta + q * v) - here) / q - (at_vertices - here)
        return subject.objective(growth, log_level, q)

    return objective


def log_partition(theta: FloatArray) -> FloatArray:
    """Return A(theta) as the formula reads."""
    patients = np.asarray(_FAMILY.patients, float)
    value: FloatArray = np.sum(patients * np.logaddexp(0, theta), axis=-1)
    return value


def measure(subject: Subject, tiles: Tiles, sample: Tiles) -> list[str]:
    """Return a row: both times, the ratio per tile, the largest relative difference."""
    neighbours = Neighbours()
    times, rounds = interleaved(
        {
            "all": lambda: seconds(lambda: subject.bound(_FAMILY, tiles.theta, tiles.displacements, tiles.level)),
            "one": lambda: seconds(lambda: one_by_one(subject, sample)),
        },
        rounds=9,
        budget=120.0,
    )
    ours = subject.bound(_FAMILY, sample.theta, sample.displacements, sample.level)
    difference = np.abs(ours / one_by_one(subject, sample) - 1).max()
    return [
        subject.name,
        str(times["all"]),
        _per_tile(times["all"], tiles),
        _per_tile(times["one"], sample),
        f"**{times_as_fast(times['one'].median / len(sample), times['all'].median / len(tiles))}**",
        f"{difference:.1e}",
        str(rounds),
        f"{neighbours.cores():.1f}",
    ]


def _per_tile(times: Times, tiles: Tiles) -> str:
    return in_ms(times.median / len(tiles) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=200, help="tiles of the search per tile")
    options = parser.parse_args()
    tiles = Tiles.random(options.tiles)
    sample = tiles.first(options.sample)
    header = [f"{len(tiles):,} tiles x {tiles.displacements.shape[1]} vertices", "ours, ms", "ours, µs a tile"]
    header += [f"SciPy on {len(sample)}, µs a tile", "**SciPy / ours**", "largest relative difference", "rounds"]
    rows = [measure(subject, tiles, sample) for subject in subjects()]
    print(table(["", ""], list(machine().items())), end="\n\n")
    print(table([*header, "cores used by others"], rows))


if __name__ == "__main__":
    main()
