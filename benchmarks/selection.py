"""How many simulations a classic job and one by interpolation need to the same targets.

    python benchmarks/selection.py                  # all problems, default targets
    python benchmarks/selection.py V1 C1 --targets default tight --seeds 5 --classic-minutes 60

Counted are all simulations that are run, whatever they are for. Every certificate is compared with the exact truth.
Prints markdown tables; what has finished so far goes to the standard error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import adagrid as ada
from measuring import machine, table
from selection_cases import Problem, Problems

Target: TypeAlias = Literal["default", "tight"]

_TIGHT = 0.5
# Tight targets need four times the simulations per tile, so a classic job may have four times the most.
_MAX_SIMS: dict[Target, int] = {"default": 131_072, "tight": 4 * 131_072}
_TARGETS: dict[str, dict[str, float]] = {
    "validate": {"max_target": 0.002, "global_target": 0.005},
    "calibrate": {"grid_target": 0.001, "bias_target": 0.001, "std_target": 0.002},
}
_N_STEPS = 100_000


@final
@dataclass(frozen=True)
class Found:
    """What a job found, and what it took.

    Args:
        simulations: all that were run, without those of `certify`.
        places: points or tiles that were simulated.
        cells: active cells or tiles.
        steps: stages or steps.
        seconds: wall time, compilation included.
        converged: whether the targets were met.
        certified: the bound, or the threshold.
        truth: the largest exact error: of the design, or of the threshold.
        certify_sims: simulations of `certify`.
        certify_seconds: its wall time.
        exceeded: share of random parameter values whose exact error is above their cell's bound.
    """

    simulations: int
    places: int
    cells: int
    steps: int
    seconds: float
    converged: bool
    certified: float
    truth: float
    certify_sims: int = 0
    certify_seconds: float = 0.0
    exceeded: float = 0.0


def targets(problem: Problem, target: Target) -> dict[str, float]:
    """Return a problem's targets."""
    factor = _TIGHT if target == "tight" else 1.0
    return {name: factor * value for name, value in _TARGETS[problem.job].items()}


def start(problem: Problem, n: int, **settings: Any) -> ada.Run:
    """Run a job to its end."""
    entry = ada.ada_validate if problem.job == "validate" else ada.ada_calibrate
    level = "threshold" if problem.job == "validate" else "alpha"
    return entry(
        problem.model(), grid=problem.grid(n), progress=False, options=ada.RunOptions(n_steps=_N_STEPS),
        **{level: problem.level}, **settings,
    )  # fmt: skip


def interpolated(problem: Problem, target: Target, seed: int) -> Found:
    """Run a job by interpolation on the undivided region."""
    began = time.perf_counter()
    with start(problem, 1, model_seed=seed, **targets(problem, target)) as run:
        seconds = time.perf_counter() - began
        points, cells = run.table("points"), run.results()
        assert len(points) == len(run.table("pilot")) + len(run.table("vertices"))
        return Found(
            int(points["n_sims"].sum()), len(points), len(cells), len(run.table("coordinations")), seconds,
            run.converged, *_certificate(problem, run),
            exceeded=problem.exceeded(run) if problem.job == "validate" else 0.0,
        )  # fmt: skip


def classic(problem: Problem, target: Target, seed: int, minutes: float) -> Found:
    """Run a classic job, for some minutes at most, and certify what it found if it converged."""
    settings: Any = {"method": ada.Classic(max_sims=_MAX_SIMS[target]), **targets(problem, target)}
    began = time.perf_counter()
    with start(problem, problem.initial, model_seed=seed, timeout=60 * minutes, **settings) as run:
        seconds = time.perf_counter() - began
        simulated, steps = run.results(active=False), len(run.table("steps"))
        simulations = int(simulated["n_sims"].sum())
        if problem.job == "validate":  # a deepened tile keeps its parent's counts
            done = run.table("done")
            kept = simulated["id"].isin(done["id"][done["deepen"] > 0])
            simulations -= int(simulated["n_sims"][kept].sum())
        active, certify_seconds = run.results(), 0.0
        if run.converged:
            began = time.perf_counter()
            run.certify()
            certify_seconds = time.perf_counter() - began
        return Found(
            simulations, len(simulated), len(active), steps, seconds, run.converged, *_certificate(problem, run),
            int(active["n_sims"].sum()) if run.converged else 0, certify_seconds,
        )  # fmt: skip


def _certificate(problem: Problem, run: ada.Run) -> tuple[float, float]:
    """Return the bound and the exact error, or the threshold and its exact error."""
    certified = run.bound if problem.job == "validate" else run.threshold
    truth = problem.truth(run.threshold)
    if problem.job == "validate":
        assert certified >= truth, f"{problem.name}: the bound {certified} is below the exact error {truth}"
    return certified, truth


@final
@dataclass(frozen=True)
class Comparison:
    """A problem at some targets.

    Args:
        problem: the problem.
        target: its targets.
        theirs: the classic job.
        ours: the jobs by interpolation, of several model seeds.
    """

    problem: Problem
    target: Target
    theirs: Found
    ours: Sequence[Found]

    @property
    def ratio(self) -> float:
        """How many times fewer simulations, by the median."""
        return self.theirs.simulations / statistics.median(found.simulations for found in self.ours)

    def summary(self) -> list[str]:
        """Return the row of the first table."""
        counts = sorted(found.simulations for found in self.ours)
        ratios = [_times(self.theirs.simulations / count) for count in (counts[-1], counts[0])]
        least = "" if self.theirs.converged else "at least "
        required = f"{self.problem.required:g}x" if self.target == "default" else ""
        verdict = ("yes" if self.ratio >= self.problem.required else "**no**") if required else ""
        missed = sum(not found.converged for found in self.ours)
        return [
            self.problem.name, self.target,
            _millions(self.theirs.simulations) + ("" if self.theirs.converged else ", stopped"),
            f"{_millions(statistics.median(counts))} [{_millions(counts[0])}, {_millions(counts[-1])}]",
            f"**{least}{_times(self.ratio)}** [{', '.join(ratios)}]", required, verdict,
            f"{len(self.ours) - missed} of {len(self.ours)}",
        ]  # fmt: skip

    def work(self) -> list[list[str]]:
        """Return the rows of the second table."""
        classic = "classic" if self.theirs.converged else "classic, stopped"
        rows = ((classic, [self.theirs]), ("interpolated", self.ours))
        return [
            [self.problem.name, self.target, name, _range(found, "places", ","), _range(found, "cells", ","),
             _range(found, "steps", ","), _range(found, "seconds", ".1f"),
             _millions(found[0].certify_sims) if found[0].certify_sims else "",
             f"{found[0].certify_seconds:.1f}" if found[0].certify_sims else ""]
            for name, found in rows
        ]  # fmt: skip

    def certificates(self) -> list[str]:
        """Return the row of the third or fourth table."""
        theirs = self.theirs
        if self.problem.job == "validate":
            slack = [100 * (found.certified - found.truth) for found in self.ours]
            return [
                self.problem.name, self.target, f"{theirs.truth:.4%}",
                f"{100 * (theirs.certified - theirs.truth):.3f}" if theirs.converged else "",
                f"{statistics.median(slack):.3f} [{min(slack):.3f}, {max(slack):.3f}]",
                f"{max(found.exceeded for found in self.ours):.2%}",
            ]  # fmt: skip
        errors = [found.truth for found in self.ours]
        return [
            self.problem.name, self.target,
            f"{theirs.truth:.3%}" if theirs.converged else "",
            f"{statistics.median(found.certified for found in self.ours):.5f}",
            f"{statistics.median(errors):.3%} [{min(errors):.3%}, {max(errors):.3%}]", f"{statistics.mean(errors):.3%}",
        ]  # fmt: skip


def _range(found: Sequence[Found], name: str, style: str) -> str:
    values = sorted(getattr(one, name) for one in found)
    if len(values) == 1 or values[0] == values[-1]:
        return format(values[0], style)
    middle = statistics.median_low(values)
    return f"{middle:{style}} [{values[0]:{style}}, {values[-1]:{style}}]"


def _millions(simulations: float) -> str:
    value = simulations / 1e6
    return f"{value:,.0f} M" if value >= 100 else f"{value:.3g} M"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.1f}x"


def compare(problem: Problem, target: Target, options: argparse.Namespace) -> Comparison:
    """Run both methods on a problem."""
    ours = []
    for seed in range(options.seeds):
        ours.append(interpolated(problem, target, seed))
        _tell(problem, target, f"interpolated, seed {seed}", ours[-1])
    theirs = classic(problem, target, 0, options.classic_minutes)
    _tell(problem, target, "classic", theirs)
    comparison = Comparison(problem, target, theirs, ours)
    print(" | ".join(comparison.summary()), file=sys.stderr, flush=True)
    return comparison


def _tell(problem: Problem, target: Target, who: str, found: Found) -> None:
    print(problem.name, target, who, found, file=sys.stderr, flush=True)


def report(comparisons: Sequence[Comparison]) -> str:
    """Return the tables."""
    validations = [c.certificates() for c in comparisons if c.problem.job == "validate"]
    calibrations = [c.certificates() for c in comparisons if c.problem.job == "calibrate"]
    parts = [
        table(
            ["", "targets", "classic", "interpolated", "**classic / interpolated**", "required", "met", "converged"],
            [c.summary() for c in comparisons],
        ),
        table(
            ["", "targets", "method", "points or tiles", "active cells or tiles", "stages or steps", "seconds",
             "certify: simulations", "certify: seconds"],
            [row for c in comparisons for row in c.work()],
        ),
    ]  # fmt: skip
    if validations:
        header = ["", "targets", "exact error", "classic, certified", "interpolated", "points above their bound"]
        parts.append("Bound minus exact error, in percentage points:\n\n" + table(header, validations))
    if calibrations:
        header = ["", "targets", "classic, certified: error", "interpolated: threshold", "exact error", "mean"]
        parts.append("Largest exact error of the threshold:\n\n" + table(header, calibrations))
    return "\n\n".join(parts)


def main() -> None:
    problems: Mapping[str, Problem] = Problems().all
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(problems), metavar="problem", help=", ".join(problems))
    parser.add_argument("--targets", nargs="+", choices=("default", "tight"), default=["default"])
    parser.add_argument("--seeds", type=int, default=3, help="model seeds of the jobs by interpolation")
    parser.add_argument("--classic-minutes", type=float, default=30.0, help="after which no new step begins")
    options = parser.parse_args()
    if unknown := set(options.problems) - set(problems):
        parser.error(f"no such problem: {', '.join(sorted(unknown))}; there are {', '.join(problems)}")
    comparisons = [compare(problems[name], target, options) for target in options.targets for name in options.problems]
    print(table(["", ""], list(machine().items())), end="\n\n")
    print(table(["", "problem"], [[name, problems[name].title] for name in options.problems]), end="\n\n")
    print(report(comparisons))


if __name__ == "__main__":
    main()
