"""Runs every problem with many seeds and writes what was found to docs/coverage.md.

    python -m studies.coverage.report

`--runs 10` tries it out. Ends with status 1 if a law does not hold.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from studies.coverage.laws import (
    Mean,
    beyond_level,
    broken_by_calibrations,
    broken_by_validations,
    exact_errors,
    exceeding,
    misses,
    noticed_rate,
    surplus,
    upper_limit,
)
from studies.coverage.problems import FISHER, PROBLEMS, THREE_ARMS, Z_TEST, Problem
from studies.coverage.runs import Calibration, Limits, Method, Validation, Workers, calibrations, validations
from tests.support.paths import ROOT

ALPHA = 0.025
METHODS: dict[Method, str] = {"interpolated": "interpolated", "classic": "classic + certify"}


@final
@dataclass(frozen=True)
class Study:
    """Many runs of one kind.

    Args:
        problem: what is run.
        method: how.
        delta: one minus the confidence; None for a calibration.
        runs: how many.
        confidence: of a calibration.
    """

    problem: Problem
    method: Method
    delta: float | None
    runs: int
    confidence: float | None = None


STUDIES = (
    Study(Z_TEST, "interpolated", 0.2, 300),
    Study(FISHER, "interpolated", 0.2, 300),
    Study(THREE_ARMS, "interpolated", 0.2, 300),
    Study(Z_TEST, "interpolated", None, 300),
    Study(FISHER, "interpolated", None, 300),
    Study(Z_TEST, "classic", 0.2, 300),
    Study(Z_TEST, "classic", None, 300),
    Study(Z_TEST, "interpolated", 0.01, 300),
    Study(FISHER, "interpolated", 0.01, 300),
    Study(Z_TEST, "interpolated", None, 300, 0.9),
    Study(FISHER, "interpolated", None, 300, 0.9),
    Study(THREE_ARMS, "interpolated", None, 300, 0.9),
    Study(Z_TEST, "classic", None, 300, 0.9),
)


@final
class Report:
    """Collects rows of tables.

    Args:
        first_seed: the first model seed of every study.
    """

    def __init__(self, first_seed: int) -> None:
        self.first_seed = first_seed
        self.misses: list[list[str]] = []
        self.limits: list[list[str]] = []
        self.errors: list[list[str]] = []
        self.largest: list[list[str]] = []
        self.broken: list[str] = []

    def add(self, study: Study, workers: Workers) -> None:
        """Run a study and add what it found."""
        seeds = range(self.first_seed, self.first_seed + study.runs)
        if study.delta is None:
            found = workers.run(calibrations, study.problem.name, study.method, ALPHA, study.confidence, seeds=seeds)
            self._note(study, broken_by_calibrations(study.problem, ALPHA, found, study.confidence))
            if study.confidence is None:
                self._add_errors(study, found)
            self._add_largest(study, found)
        else:
            found = workers.run(validations, study.problem.name, study.method, study.delta, seeds=seeds)
            self._add_misses(study, study.delta, found)

    def _add_errors(self, study: Study, found: list[Calibration]) -> None:
        for name, mean in exact_errors(study.problem, found).items():
            figures = [str(mean.runs), f"{name} {_value(study, name)}"]
            figures += [f"{mean.mean:.5f} ± {mean.error:.5f}", f"{mean.sd:.5f}"]
            self.errors.append([study.problem.name, METHODS[study.method], *figures])

    def _add_largest(self, study: Study, found: list[Calibration]) -> None:
        mean, count = Mean.of([one.largest for one in found]), exceeding(ALPHA, found)
        sims = f"{np.mean([one.n_sims for one in found]):,.0f}"
        limits = ["none", str(study.runs), sims, str(count), "", "", ""]
        if study.confidence is not None:
            allowed = 1 - study.confidence
            limits = [f"{study.confidence:.0%}", str(study.runs), sims, str(count), f"{study.runs * allowed:.0f}"]
            limits += [f"{upper_limit(count, study.runs):.3f}", f"{noticed_rate(study.runs, allowed):.3f}"]
        figures = [*limits, f"{mean.mean:.5f} ± {mean.error:.5f}", f"{mean.sd:.5f}"]
        self.largest.append([study.problem.name, METHODS[study.method], *figures])

    def _add_misses(self, study: Study, delta: float, found: list[Validation]) -> None:
        self._note(study, broken_by_validations(study.problem, delta, found))
        noticed = noticed_rate(study.runs, delta)
        for row in misses(study.problem, delta, found):
            figures = [f"{delta:g}", str(row.runs), f"{row.name} {_value(study, row.name)}", f"{row.truth:.5f}"]
            figures += [f"{row.median:.4f}", str(row.least), str(row.largest), f"{row.upper:.3f}", f"{noticed:.3f}"]
            self.misses.append([study.problem.name, METHODS[study.method], *figures])
        sims = f"{np.mean([one.n_sims for one in found]):,.0f}"
        self._add_limits(study, f"{delta:g}", "first", sims, [one.first for one in found])
        if any(one.repairs.count for one in found):
            self._add_limits(study, f"{delta:g}", "repairs", "", [one.repairs for one in found])

    def _add_limits(self, study: Study, delta: str, passes: str, sims: str, limits: list[Limits]) -> None:
        beyond, rejections = beyond_level(limits), surplus(limits)
        occurs = np.mean([one.count > 0 for one in limits])
        total = Limits(*(sum(values) for values in zip(*map(astuple, limits), strict=True)))
        figures = [delta, str(study.runs), sims, passes if occurs == 1 else f"{passes} ({occurs:.0%} of runs)"]
        figures += [f"{total.count:,}", f"{total.failed:,}", f"{total.allowed:,.1f}"]
        figures += [f"{beyond.mean / beyond.error:+.1f}" if total.failed else "none failed"]
        figures += [f"{rejections.mean / rejections.error:+.1f}"]
        self.limits.append([study.problem.name, METHODS[study.method], *figures])

    def _note(self, study: Study, broken: list[str]) -> None:
        self.broken += [f"{_label(study)}: {law}" for law in broken]

    def text(self, seconds: float, workers: int) -> str:
        """Return the whole file."""
        verdict = (
            "Every law holds in this run."
            if not self.broken
            else "**These laws do not hold in this run:** " + "; ".join(self.broken) + "."
        )
        return _PAGE.format(
            verdict=verdict,
            minutes=math.ceil(seconds / 60),
            workers=workers,
            seeds=f"{self.first_seed}, {self.first_seed + 1}, {self.first_seed + 2} and so on",
            misses=_table(_MISSES, self.misses),
            limits=_table(_LIMITS, self.limits),
            errors=_table(_ERRORS, self.errors),
            largest=_table(_LARGEST, self.largest),
            settings="\n".join(_settings(problem) for problem in PROBLEMS.values()),
            alpha=ALPHA,
        )


_MISSES = ["problem", "method", "delta", "runs", "value", "exact error", "median bound", "misses, least bound"]
_MISSES += ["misses, largest bound", "upper 95% limit of the miss rate", "would be noticed"]
_LIMITS = ["problem", "method", "delta", "runs", "simulations of a certificate", "pass", "limits"]
_LIMITS += ["below the exact error", "at most expected", "difference in standard errors"]
_LIMITS += ["surplus of rejections in standard errors"]
_ERRORS = [
    "problem",
    "method",
    "runs",
    "value",
    "mean exact error ± standard error",
    "standard deviation of single errors",
]
_LARGEST = ["problem", "method", "confidence", "runs", "simulations of a certificate"]
_LARGEST += ["runs with an error above alpha", "at most expected", "upper 95% limit of their share", "would be noticed"]
_LARGEST += ["mean largest error ± standard error", "standard deviation of largest errors"]

_PAGE = """# Do the certificates keep what they promise?

[`guarantee.md`](guarantee.md) proves three statements. This page tests them on the program as it is: whole jobs,
started through `ada_validate` and `ada_calibrate` with many different model seeds, on designs whose Type I Error is
known exactly, by a closed form or by enumeration of all outcomes. `make certificates` makes this page
([the script](../studies/coverage/report.py)); `studies/coverage` has smaller versions of the same studies, and
shows that the same tests fail when limits, estimates or ranks are computed wrongly on purpose.

{verdict}

## Validation

The statement: at each fixed parameter value the bound is below the exact error in at most a share delta of runs. The
values below were fixed before any run. A value may lie on the faces of several cells (or tiles), whose bounds all hold
there, so misses of the least and of the largest are counted. The upper limit is for the miss rate of the least one. The
last column is the true miss rate from which on a law would, with 95% probability, be reported as broken (a one-sided
binomial test with p at most 0.0001).

{misses}

Fewer misses than delta are no surprise: delta is divided between the d + 1 corners of a cell and further passes, and a
bound also contains what its cell costs. Therefore the limits at all simulated points are judged too. Given how the
points were chosen, each may be below the exact error there with probability at most its own level. The sum of the
levels is the most that is expected, followed by the difference in standard errors (from the spread between runs,
because limits of one run depend on each other): above 3 would be reported as broken. The last column is the sharpest
law: given how the points of a pass were chosen, the rejections there have the exact errors as their expectations. The
surplus of rejections, in standard deviations at each point and summed over points, is 0 on average over runs; more than
3 standard errors from 0, either way, would be reported as broken.

{limits}

## Calibration

The statement: the exact error of the calibrated threshold, averaged over runs, is at most alpha = {alpha} at each
parameter value. A mean more than 3 standard errors above it would be reported as broken. The last column is how much
the errors of single thresholds scatter, which the statement does not bound.

{errors}

With `confidence=` the statement is about the one threshold that comes out: with this confidence over the simulations,
its exact error is at most alpha at every parameter value of the region at once. So the largest exact error over the
region is above alpha in at most a share 1 - confidence of runs. It is sought on the diagonal of the region, where these
designs have it, and at values spread over the region. Laws are reported as broken as for validations. For comparison
the table includes the calibrations without confidence: nothing is promised of their single thresholds, and about half
of these have errors above alpha where the statistic is continuous. The mean shows what confidence costs with as few
simulations as here.

{largest}

## Settings

Everything here follows from the seeds: the runs of every study have the model seeds {seeds}. Targets are
looser than the defaults, so that many runs are affordable and few simulations leave the limits enough room to miss; the
reasons why a certificate holds do not depend on targets. Jobs ran in memory (`db=PandasStore()`), and jobs of one
process shared compiled code.

{settings}
- Classic validations had `init_sims=512, max_sims=8192`, classic calibrations `init_sims=1024, max_sims=8192`; both
  were made certificates by `run.certify()`.

The whole took {minutes} minutes with {workers} processes on a machine that had other work to do.
"""


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _settings(problem: Problem) -> str:
    low = np.min(problem.grid.tiles.theta - problem.grid.tiles.radius, axis=0)
    high = np.max(problem.grid.tiles.theta + problem.grid.tiles.radius, axis=0)
    side = "<" if problem.model.reject_when == "small" else ">"
    given = {"validation": problem.settings, "calibration": problem.calibration}
    targets = "; ".join(
        f"{kind}: " + ", ".join(f"`{name}={value}`" for name, value in values.items())
        for kind, values in given.items()
        if values
    )
    return (
        f"- {problem.name}: rejects when the statistic {side} {problem.threshold}, region {_vector(low)} to "
        f"{_vector(high)}, null where {' or '.join(plane.describe() for plane in problem.grid.hypotheses)}. {targets}."
    )


def _value(study: Study, name: str) -> str:
    return _vector(study.problem.values[name])


def _vector(values: tuple[float, ...] | np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _label(study: Study) -> str:
    kind = "calibration" if study.delta is None else f"validation at delta = {study.delta:g}"
    kind += "" if study.confidence is None else f" with confidence {study.confidence:g}"
    return f"{study.problem.name}, {METHODS[study.method]}, {kind}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, help="at most this many runs of each study")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "coverage.md")
    options = parser.parse_args()
    began = time.monotonic()
    report = Report(options.first_seed)
    with Workers() as workers:
        for study in STUDIES:
            runs = min(study.runs, options.runs or study.runs)
            report.add(replace(study, runs=runs), workers)
            print(f"{time.monotonic() - began:6.0f} s  {_label(study)}: {runs} runs", flush=True)
            for law in report.broken:
                print(f"          does not hold: {law}", flush=True)
            options.output.write_text(report.text(time.monotonic() - began, workers.count))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
