"""Trials with four arms certified on this machine, and how simulations grow with dimension and target.

    python benchmarks/four_arms.py                 # both trials, and the tables of growth
    python benchmarks/four_arms.py trials --seeds 3
    python benchmarks/four_arms.py growth --targets 0.004 0.002 --arms 1 2 3

Every job runs in a process of its own, so that its peak memory is its own. Prints markdown tables; what has finished
so far goes to the standard error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import final

import numpy as np
from scipy.special import logit, ndtri

import adagrid as ada
from measuring import Neighbours, highest_resident, machine, table
from selection_cases import (
    Diagonal,
    Fixed,
    Means,
    PairsError,
    Problem,
    SingleArms,
    SingleArmsError,
    means_error,
)

_PATIENTS, _NULL_RATE, _AT_LEAST = 35, 0.1, 9
_LEVEL = 0.025
_DEFAULT_TARGET = 0.002


def basket(n_arms: int) -> Problem:
    """Arms judged each for itself: 9 of 35 responders declare an arm active, its null is a rate of at most 10%."""
    null = float(logit(_NULL_RATE))
    return Problem(
        "basket", f"{n_arms} single arms of {_PATIENTS}, null rate 10%, {_AT_LEAST} responders reject", "validate",
        lambda: SingleArms(_PATIENTS, n_arms), (-3.5,) * n_arms, (-1.0,) * n_arms,
        tuple(f"theta{i} <= logit({_NULL_RATE})" for i in range(n_arms)), _AT_LEAST - 0.5,
        SingleArmsError(_PATIENTS), Fixed(*[null] * n_arms),
    )  # fmt: skip


def many_to_one(n_treatments: int) -> Problem:
    """Treatments compared with one control by the pooled z-test."""
    z = ada.ManyToOne(_PATIENTS, n_treatments).z
    return Problem(
        "many-to-one", f"control and {n_treatments} treatments of {_PATIENTS}, pooled z above 2.3", "validate",
        lambda: ada.ManyToOne(_PATIENTS, n_treatments), (-1.0,) * (n_treatments + 1), (1.0,) * (n_treatments + 1),
        tuple(f"theta{i + 1} <= theta0" for i in range(n_treatments)), 2.3,
        PairsError(_PATIENTS, z, "large"), Diagonal(n_treatments + 1),
    )  # fmt: skip


def means(n_means: int) -> Problem:
    """z-tests of several means, with a threshold that keeps the largest family-wise error at 2.5%."""
    threshold = float(ndtri((1 - _LEVEL) ** (1 / n_means)))
    return Problem(
        "z-tests", f"z-tests of {n_means} means, threshold {threshold:.3f}", "validate",
        lambda: Means(n_means, n_means), (-1.0,) * n_means, (0.0,) * n_means,
        tuple(f"theta{i} <= 0" for i in range(n_means)), threshold, means_error, Fixed(*[0.0] * n_means),
    )  # fmt: skip


@final
@dataclass(frozen=True)
class Measured:
    """What a job took, and what it certifies.

    Args:
        simulations: all that were run.
        points: points that were simulated.
        cells: cells in force.
        stages: stages.
        configurations: null configurations that occur.
        seconds: wall time, compilation included.
        others: cores that other processes used meanwhile.
        memory: peak resident memory of the process, in MB.
        converged: whether the targets were met.
        bound: the certified bound.
        truth: the largest exact error.
        exceeded: share of random parameter values whose exact error is above their cell's bound.
    """

    simulations: int
    points: int
    cells: int
    stages: int
    configurations: int
    seconds: float
    others: float
    memory: float
    converged: bool
    bound: float
    truth: float
    exceeded: float


def measure(kind: str, n: int, target: float, seed: int) -> Measured:
    """Run one job by interpolation; meant for a process of its own."""
    problem = {"basket": basket, "many-to-one": many_to_one, "z-tests": means}[kind](n)
    began, neighbours = time.perf_counter(), Neighbours()
    with ada.ada_validate(
        problem.model(), threshold=problem.level, grid=problem.grid(1), model_seed=seed,
        max_target=target, global_target=2.5 * target, progress=False,
    ) as run:  # fmt: skip
        seconds, others, memory = time.perf_counter() - began, neighbours.cores(), highest_resident()
        points, cells, truth = run.table("points"), run.results(), problem.truth(problem.level)
        assert run.bound >= truth, f"{problem.title}: the bound {run.bound} is below the exact error {truth}"
        nulls = [f"null_truth{i}" for i in range(len(problem.nulls))]
        return Measured(
            int(points["n_sims"].sum()), len(points), len(cells), len(run.table("coordinations")),
            len(np.unique(cells[nulls].to_numpy(), axis=0)), seconds, others, memory, run.converged, run.bound, truth,
            problem.exceeded(run),
        )  # fmt: skip


def alone(kind: str, n: int, target: float, seed: int = 0) -> Measured:
    """Run one job in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        measured = executor.submit(partial(measure, kind, n, target, seed)).result()
    print(kind, n, target, seed, measured, file=sys.stderr, flush=True)
    return measured


def trials(seeds: int) -> str:
    """Return the table of the trials with four arms."""
    rows = []
    for problem, kind, n in ((basket(4), "basket", 4), (many_to_one(3), "many-to-one", 3)):
        for seed in range(seeds):
            found = alone(kind, n, _DEFAULT_TARGET, seed)
            rows.append([
                problem.title, seed, f"{found.simulations / 1e6:,.1f} M", f"{found.points:,}", f"{found.cells:,}",
                found.stages, f"{found.seconds:.0f}", f"{found.others:.1f}", f"{found.memory:,.0f} MB",
                f"{found.bound:.3%}", f"{found.truth:.3%}", f"{found.exceeded:.2%}",
                "yes" if found.converged else "**no**",
            ])  # fmt: skip
    header = ["", "model seed", "simulations", "points", "cells", "stages", "seconds", "cores used by others",
              "peak memory", "bound", "exact error", "points above their bound", "converged"]  # fmt: skip
    return table(header, rows)


def growth(kind: str, arms: Sequence[int], targets: Sequence[float]) -> str:
    """Return a table of millions of simulations by dimension and target."""
    rows = []
    for n in arms:
        found = [alone(kind, n, target) for target in targets]
        rows.append([n, *(_cell(one) for one in found)])
    return table(["dimensions", *(f"target {target:g}" for target in targets)], rows)


def _cell(found: Measured) -> str:
    missed = "" if found.converged else ", **not converged**"
    return f"{found.simulations / 1e6:,.3g} M, {found.cells:,} cells, {found.seconds:.0f} s{missed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["trials", "growth"], metavar="part", help="trials, growth")
    parser.add_argument("--seeds", type=int, default=3, help="model seeds of the trials with four arms")
    parser.add_argument("--arms", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--targets", type=float, nargs="+", default=[0.004, 0.002, 0.001])
    options = parser.parse_args()
    print(table(["", ""], list(machine().items())), end="\n\n")
    if "trials" in options.parts:
        print(trials(options.seeds), end="\n\n", flush=True)
    if "growth" in options.parts:
        for kind in ("z-tests", "basket"):
            print(f"{kind}:\n\n" + growth(kind, options.arms, options.targets), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
