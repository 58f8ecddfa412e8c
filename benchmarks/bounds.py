"""The tilt bound and its inverse on many tiles of every family, against a search per tile with SciPy.

    python benchmarks/bounds.py                       # two minutes
    python benchmarks/bounds.py --families Binomial   # half a minute

Four parameters, so 16 vertices a tile. Times are those of the processor. Prints markdown tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import minimize_scalar

import adagrid as ada
from adagrid._typing import FloatArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound
from adagrid.families import Family
from measuring import Neighbours, Times, in_ms, interleaved, machine, table, times_as_fast

_ALPHA = 0.025
# Ends of the search for log(q - 1).
_ENDS = (-8.0, 22.0)
_CONTROL = ((1, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1))


@final
@dataclass(frozen=True)
class Region:
    """A family of four parameters and where its tiles are.

    Args:
        family: the family.
        lower: least parameters.
        upper: largest parameters.
        radius: the largest half-width of a tile; the least is a twentieth of that.
    """

    family: Family
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    radius: float


def _box(family: Family, lower: float, upper: float, radius: float) -> Region:
    return Region(family, (lower,) * 4, (upper,) * 4, radius)


_NORMAL = ada.NormalUnknownVariance((50, 50))
REGIONS = {
    "Normal": _box(ada.Normal(sd=(1.0, 1.0, 1.0, 1.0), n=50), -1, 1, 0.05),
    "MultivariateNormal": _box(ada.MultivariateNormal(np.eye(4) / 2 + 0.5, n=50), -1, 1, 0.05),
    "NormalUnknownVariance": Region(_NORMAL, (-1, -1, -1, -1), (1, -0.3, 1, -0.3), 0.02),
    "Binomial": _box(ada.Binomial((50, 50, 50, 50)), -2, 1, 0.1),
    "Poisson": _box(ada.Poisson((50, 50, 50, 50)), -2, 1, 0.05),
    "NegativeBinomial": _box(ada.NegativeBinomial(2.0, n=(50, 50, 50, 50)), -2, -0.5, 0.05),
    "Exponential": _box(ada.Exponential((50, 50, 50, 50)), 0.5, 2, 0.05),
    "Gamma": _box(ada.Gamma((0.5, 1.0, 2.0, 4.0), n=50), 0.5, 2, 0.05),
    "ScaledChiSquared": _box(ada.ScaledChiSquared((49, 49, 49, 49)), 0.5, 2, 0.05),
    "Product": Region(ada.Product((ada.Exponential((50, 50)), ada.Binomial((50, 50)))), (0.5,) * 4, (1,) * 4, 0.05),
    "Product, not separable": Region(
        ada.Product((ada.NormalUnknownVariance(50), ada.Binomial((50, 50)))), (-1, -1, -2, -2), (1, -0.3, 1, 1), 0.02
    ),
    "LinearMap of Binomial": _box(ada.LinearMap(ada.Binomial((50, 50, 50, 50)), _CONTROL), -1, 0.5, 0.05),
    "LinearMap of Exponential": _box(ada.LinearMap(ada.Exponential((50, 50, 50, 50)), _CONTROL), 0.5, 1.5, 0.05),
}


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
    def random(region: Region, n: int) -> Tiles:
        """Return tiles of a region, with levels in [0.001, 0.1]."""
        rng = np.random.default_rng(0)
        dim = region.family.dim
        corners = np.array(np.meshgrid(*[(-1.0, 1.0)] * dim)).reshape(dim, -1).T
        radius = rng.uniform(region.radius / 20, region.radius, (n, 1, dim))
        theta = rng.uniform(region.lower, region.upper, (n, dim))
        return Tiles(theta, corners * radius, rng.uniform(0.001, 0.1, n))

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


def one_by_one(subject: Subject, family: Family, tiles: Tiles) -> FloatArray:
    """Bound every tile by a scalar search of its own, as the formula reads."""
    bounds = np.empty(len(tiles))
    for i, (theta, displacements, level) in enumerate(tiles):
        objective = _objective(subject, family, theta, displacements, level)
        reach = float(family.reach(theta, displacements).min())
        ends = (_ENDS[0], min(_ENDS[1], np.log(reach * (1 - 1e-6) - 1)))
        bounds[i] = np.exp(subject.sign * minimize_scalar(objective, bounds=ends, method="bounded").fun)
    return bounds


def _objective(
    subject: Subject, family: Family, theta: FloatArray, v: FloatArray, level: float
) -> Callable[[float], float]:
    here, at_vertices, log_level = family.log_partition(theta), family.log_partition(theta + v), np.log(level)

    def objective(log_excess: float) -> float:
        q = 1 + np.exp(log_excess)
        with np.errstate(over="ignore", invalid="ignore"):
            growth = (family.log_partition(theta + q * v) - here) / q - (at_vertices - here)
        return subject.objective(np.nan_to_num(growth, nan=1e100, posinf=1e100), log_level, q)

    return objective


def measure(name: str, subject: Subject, tiles: Tiles, sample: Tiles, rounds: int) -> list[str]:
    """Return a row: both times, the ratio per tile, by how much ours is above the best of the vertices, and below."""
    family, neighbours = REGIONS[name].family, Neighbours()
    times, rounds = interleaved(
        {
            "all": lambda: _seconds(lambda: subject.bound(family, tiles.theta, tiles.displacements, tiles.level)),
            "one": lambda: _seconds(lambda: one_by_one(subject, family, sample)),
        },
        rounds=rounds,
        budget=60.0,
        least=min(rounds, 3),
    )
    ours = subject.bound(family, sample.theta, sample.displacements, sample.level)
    excess = (ours / one_by_one(subject, family, sample) - 1) * subject.sign
    return [
        name,
        subject.name,
        str(times["all"]),
        _per_tile(times["all"], tiles),
        _per_tile(times["one"], sample),
        f"**{times_as_fast(times['one'].median / len(sample), times['all'].median / len(tiles))}**",
        f"{excess.min():.1e}",
        f"{excess.max():.1e}",
        str(rounds),
        f"{neighbours.cores():.1f}",
    ]


def _seconds(run: Callable[[], object]) -> float:
    """Return the processor seconds of a call: one core's, whatever others do with it meanwhile."""
    began = time.process_time()
    run()
    return time.process_time() - began


def _per_tile(times: Times, tiles: Tiles) -> str:
    return in_ms(times.median / len(tiles) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=200, help="tiles of the search per tile")
    parser.add_argument("--families", nargs="*", default=list(REGIONS), choices=list(REGIONS), metavar="FAMILY")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    header = ["family", f"{options.tiles:,} tiles x 16 vertices", "ours, CPU ms", "ours, µs a tile"]
    header += [f"SciPy on {options.sample}, µs a tile", "**SciPy / ours**", "least relative excess"]
    header += ["largest relative excess", "rounds", "cores used by others"]
    rows = []
    for name in options.families:
        tiles = Tiles.random(REGIONS[name], options.tiles)
        sample = tiles.first(options.sample)
        rows += [measure(name, subject, tiles, sample, options.rounds) for subject in subjects()]
    print(table(["", ""], list(machine().items())), end="\n\n")
    print(table(header, rows))


if __name__ == "__main__":
    main()
