"""An accelerator against this machine's processor: counts, smallest statistics and small jobs, and how fast they are.

Takes under five minutes: python benchmarks/gpu.py. Without an accelerator it says so and stops; `--device cpu` compares
the processor with itself, which tries the script. Simulations differ by rounding only: a statistic falls on the other
side of a threshold now and then. The table has the largest difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import jax
import numpy as np

import adagrid as ada
from adagrid.engine import Simulator
from measuring import interleaved, machine, seconds, table, times_as_fast

_ROUNDS, _BUDGET = 5, 40.0
_SEED, _POINTS = 1, 256


@final
@dataclass(frozen=True)
class Case:
    """One thing that both devices do.

    Args:
        name: what it is.
        run: does it on a device and returns numbers, to be compared.
    """

    name: str
    run: Callable[[Any], Any]


def _simulations(name: str, model: ada.Model, threshold: float, n_sims: int) -> list[Case]:
    """Return counts and smallest statistics of a design at many points."""
    low, high = ([-1.0], [0.0]) if model.family.dim == 1 else ([-1.0] * 2, [0.5] * 2)
    side = _POINTS if model.family.dim == 1 else round(_POINTS**0.5)
    tiles = ada.cartesian_grid(low, high, n=side).tiles
    truth = np.ones((len(tiles), 1), bool)

    @cache
    def simulator(device: Any, selects: bool) -> Simulator:  # noqa: ARG001 - programs belong to a device
        return Simulator(model, _SEED, 1, selects=selects)

    def count(device: Any) -> Any:
        return simulator(device, False).count(tiles.theta, truth, threshold * model.direction, 0, n_sims) / n_sims

    def smallest(device: Any) -> Any:
        return simulator(device, True).smallest(tiles.theta, truth, n_sims, n_sims // 40)[:, -1]

    return [
        Case(f"{name}: counts, {len(tiles)} points x {n_sims:,}", count),
        Case(f"{name}: smallest statistics, {len(tiles)} points x {n_sims:,}", smallest),
    ]


def _jobs() -> list[Case]:
    """Return small whole jobs."""
    one = ada.cartesian_grid([-1], [0], n=1, null_hypos=["theta0 <= 0"])
    two = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["theta1 <= theta0"])

    def validate(model: ada.Model, threshold: float, grid: ada.Grid) -> Callable[[Any], float]:
        return lambda _: ada.ada_validate(
            model, threshold=threshold, grid=grid, progress=False
        ).bound  # fmt: skip

    def calibrate(_: Any) -> float:
        return ada.ada_calibrate(ada.ZTest(), grid=one, progress=False).threshold

    return [
        Case("z-test: validation, whole job", validate(ada.ZTest(), 1.96, one)),
        Case("Fisher's test, n = 50: validation, whole job", validate(ada.FisherExact(50), 0.025, two)),
        Case("z-test: calibration, whole job", calibrate),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="", help="a platform of JAX, such as gpu, tpu or cpu")
    parser.add_argument("--sims", type=int, default=131_072, help="simulations per point")
    arguments = parser.parse_args()
    device, processor = jax.devices(arguments.device or None)[0], jax.devices("cpu")[0]
    if device.platform == "cpu" and not arguments.device:
        print("JAX finds no accelerator here: nothing to compare. `--device cpu` tries the script.")
        return
    cases = [
        *_simulations("z-test", ada.ZTest(), 1.96, arguments.sims),
        *_simulations("Fisher's test, n = 50", ada.FisherExact(50), 0.025, arguments.sims),
        *_simulations("five looks", ada.GroupSequential(5), 2.4, arguments.sims),
        *_jobs(),
    ]
    rows = [_row(case, device, processor) for case in cases]
    print(table(("", ""), [*machine().items(), ("Accelerator", device.device_kind)]), end="\n\n")
    print(table(("what", "processor, s", "accelerator, s", "times as fast", "largest difference"), rows))


def _row(case: Case, device: Any, processor: Any) -> tuple[str, ...]:
    """Run a case on both devices in turn, after a first run of each that compiles."""

    def on(where: Any) -> Any:
        with jax.default_device(where):
            return np.asarray(case.run(where), float)

    difference = np.abs(on(device) - on(processor)).max()
    times, _ = interleaved(
        {"own": lambda: seconds(lambda: on(device)), "cpu": lambda: seconds(lambda: on(processor))},
        rounds=_ROUNDS, budget=_BUDGET, least=1,
    )  # fmt: skip
    own, cpu = times["own"].median, times["cpu"].median
    return case.name, f"{cpu:.3f}", f"{own:.3f}", times_as_fast(cpu, own), f"{difference:.2g}"


if __name__ == "__main__":
    main()
