"""The interpolated bound on many simplices, against a search per simplex with SciPy.

    python benchmarks/interpolated.py

Three binomial arms, so 4 vertices a simplex. Prints markdown tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.optimize import minimize

from adagrid import Binomial
from adagrid._typing import FloatArray
from adagrid.bounds.interpolated import interpolated_bound
from measuring import Neighbours, Times, in_ms, interleaved, machine, seconds, table, times_as_fast

_FAMILY = Binomial((35, 35, 35))
_LOWEST, _HIGHEST = 0.005, 0.05
# SciPy's own tolerance for what is timed, and the least that helps for the optimum we compare with.
_TIMED, _EXACT = 1e-6, 1e-15

Uppers: TypeAlias = Callable[[np.random.Generator, int, int], FloatArray]


@final
@dataclass(frozen=True)
class Simplices:
    """Simplices and upper bounds at their vertices.

    Args:
        vertices: shape (simplices, vertices, dim).
        upper: shape (simplices, vertices).
    """

    vertices: FloatArray
    upper: FloatArray

    @staticmethod
    def random(n: int, uppers: Uppers) -> Simplices:
        """Return Kuhn simplices of boxes in [-1, 1] with sides of 0.2 to 0.35, so edges of 0.2 to 0.61."""
        rng = np.random.default_rng(0)
        dim = _FAMILY.dim
        sides = rng.uniform(0.2, 0.35, (n, dim))
        low = rng.uniform(-1, 1 - sides)
        order = rng.permuted(np.tile(np.arange(dim), (n, 1)), axis=1)
        # vertex j has moved along the first j directions of the order
        moved = np.argsort(order, axis=1)[:, None, :] < np.arange(dim + 1)[:, None]
        return Simplices(low[:, None, :] + moved * sides[:, None, :], uppers(rng, n, dim + 1))

    def first(self, n: int) -> Simplices:
        """Return the first simplices."""
        return Simplices(self.vertices[:n], self.upper[:n])

    def bounds(self) -> FloatArray:
        """Return the project's bounds."""
        return interpolated_bound(_FAMILY, self.vertices, self.upper)

    def __len__(self) -> int:
        return len(self.vertices)

    def __iter__(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        return zip(self.vertices, self.upper, strict=True)


def independent(rng: np.random.Generator, n: int, n_vertices: int) -> FloatArray:
    """Return upper bounds that differ up to tenfold within a simplex: most optima are near the border."""
    return rng.uniform(_LOWEST, _HIGHEST, (n, n_vertices))


def alike(rng: np.random.Generator, n: int, n_vertices: int) -> FloatArray:
    """Return upper bounds that differ by some percent within a simplex: most optima are inside."""
    level = rng.uniform(_LOWEST, _HIGHEST, (n, 1))
    return np.clip(level * np.exp(rng.uniform(-0.05, 0.05, (n, n_vertices))), _LOWEST, _HIGHEST)


def one_by_one(simplices: Simplices, tolerance: float = _TIMED) -> FloatArray:
    """Bound every simplex by a search of its own, as the formula reads.

    What is returned is the value at a point of the simplex, so at most the optimum.
    """
    return np.array([np.exp(_highest(vertices, upper, tolerance)) for vertices, upper in simplices])


def _highest(vertices: FloatArray, upper: FloatArray, tolerance: float) -> float:
    """Return the maximum over w of h(w) = sum w_j [log u_j + A(v_j)] - A(sum w_j v_j)."""
    values = np.log(upper) + log_partition(vertices)
    n = len(values)

    def fall(w: FloatArray) -> float:
        return float(log_partition(w @ vertices) - w @ values)

    def slope(w: FloatArray) -> FloatArray:
        return vertices @ mean(w @ vertices) - values

    found = minimize(
        fall,
        np.full(n, 1 / n),
        jac=slope,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n,
        constraints={"type": "eq", "fun": lambda w: float(w.sum()) - 1, "jac": np.ones_like},
        options={"ftol": tolerance, "maxiter": 1000},
    )
    w = np.clip(found.x, 0, None)  # rounding leaves the simplex
    return -fall(w / w.sum())


def log_partition(theta: FloatArray) -> FloatArray:
    """Return A(theta) as the formula reads."""
    value: FloatArray = np.sum(np.asarray(_FAMILY.patients, float) * np.logaddexp(0, theta), axis=-1)
    return value


def mean(theta: FloatArray) -> FloatArray:
    """Return the gradient of A."""
    return np.asarray(_FAMILY.patients, float) / (1 + np.exp(-theta))


def measure(uppers: Uppers, n: int, n_sample: int) -> list[str]:
    """Return a row: both times, the ratio per simplex, the least and the largest relative excess."""
    simplices = Simplices.random(n, uppers)
    sample = simplices.first(n_sample)
    first = seconds(simplices.bounds)
    neighbours = Neighbours()
    times, rounds = interleaved(
        {"all": lambda: seconds(simplices.bounds), "one": lambda: seconds(lambda: one_by_one(sample))},
        rounds=9,
        budget=120.0,
    )
    others = neighbours.cores()
    excess = simplices.bounds()[:n_sample] / one_by_one(sample, _EXACT) - 1
    return [
        uppers.__name__,
        str(times["all"]),
        _each(times["all"], n),
        _each(times["one"], n_sample),
        f"**{times_as_fast(times['one'].median / n_sample, times['all'].median / n)}**",
        f"{excess.min():.1e}",
        f"{excess.max():.1e}",
        in_ms(first),
        str(rounds),
        f"{others:.1f}",
    ]


def _each(times: Times, n: int) -> str:
    return in_ms(times.median / n * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simplices", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=100, help="simplices of the search per simplex")
    options = parser.parse_args()
    header = [f"{options.simplices:,} simplices, values", "ours, ms", "ours, µs a simplex"]
    header += [f"SciPy on {options.sample}, µs a simplex", "**SciPy / ours**", "least relative excess"]
    header += ["largest relative excess", "first call, ms", "rounds", "cores used by others"]
    rows = [measure(uppers, options.simplices, options.sample) for uppers in (independent, alike)]
    print(table(["", ""], list(machine().items())), end="\n\n")
    print(table(header, rows))


if __name__ == "__main__":
    main()
