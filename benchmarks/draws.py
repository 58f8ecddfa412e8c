"""Designs that draw by hand against the same designs on data that their families draw, patient by patient.

    python benchmarks/draws.py    # a quarter of a minute

Rejections of 8,192 trials are counted at 4 and at 64 points, draws included. Times are those of the processor. Prints
markdown tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

import adagrid as ada
from adagrid._typing import FloatArray
from adagrid.engine import Simulator
from measuring import Neighbours, interleaved, machine, table

_SIMS = 8192
_POINTS = (4, 64)


class Means(ada.Design):
    """`ZTest` on the observations."""

    reject_when = "large"

    def __init__(self, n: int) -> None:
        self.family = ada.Normal(n=n)

    @override
    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        return data[0].sum() / np.sqrt(len(data[0]), dtype=np.float32)


class Responses(ada.Design):
    """`PooledZ` on the responses."""

    reject_when = "large"
    precision = "double"

    def __init__(self, n: int) -> None:
        self.family, self._table = ada.Binomial((n, n)), ada.PooledZ(n).table(n, n)

    @override
    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        control, treatment = (own.sum() for own in data)
        return jnp.asarray(self._table)[control, treatment]


class Looks(ada.Design):
    """`GroupSequential` on the observations."""

    reject_when = "large"

    def __init__(self, looks: int, n: int) -> None:
        self._trial = ada.GroupSequential(looks, n=n)
        self.family, self._looks = self._trial.family, looks

    @override
    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        sums = jnp.cumsum(data[0].reshape(self._looks, -1).sum(axis=1))
        z = sums / np.sqrt(np.arange(1, self._looks + 1) * (len(data[0]) / self._looks)).astype(np.float32)
        return self._trial.statistic(tuple(z), null_truth)


PAIRS: dict[str, tuple[ada.Model, ada.Model]] = {
    "ZTest()": (ada.ZTest(), Means(1)),
    "ZTest(n=20)": (ada.ZTest(n=20), Means(20)),
    "PooledZ(35)": (ada.PooledZ(35), Responses(35)),
    "PooledZ(150)": (ada.PooledZ(150), Responses(150)),
    "GroupSequential(3, n=30)": (ada.GroupSequential(3, n=30), Looks(3, 30)),
}


def timing(model: ada.Model, theta: FloatArray) -> Callable[[], float]:
    """Return a function that simulates trials with other seeds each time and returns processor seconds."""
    truth = np.ones((len(theta), 1), bool)
    simulator = Simulator(model, 0, 1, at_most=_SIMS, selects=False)
    simulator.count(theta, truth, -1.96, 0, _SIMS)  # compiles
    seeds = iter(range(1, 10**6))

    def run() -> float:
        other = simulator.reseeded(next(seeds))
        began = time.process_time()
        other.count(theta, truth, -1.96, 0, _SIMS)
        return time.process_time() - began

    return run


def main() -> None:
    """Measure every pair."""
    neighbours, rows = Neighbours(), []
    for name, (by_hand, by_family) in PAIRS.items():
        for points in _POINTS:
            theta = np.random.default_rng(0).uniform(-0.5, 0.0, (points, by_hand.family.dim))
            pair = {"by hand": timing(by_hand, theta), "by family": timing(by_family, theta)}
            times, _ = interleaved(pair, rounds=9, budget=30)
            hand, family = (times[each].median for each in pair)
            per_trial = [f"{seconds / points / _SIMS * 1e9:,.1f}" for seconds in (hand, family)]
            rows.append([name, points, *per_trial, f"{family / hand:.2f}"])
    print(table(["design", "points", "by hand, ns a trial", "by family, ns a trial", "ratio"], rows))
    print(f"\nCores used by others: {neighbours.cores():.1f}\n")
    print(table(["", ""], list(machine().items())))


if __name__ == "__main__":
    main()
