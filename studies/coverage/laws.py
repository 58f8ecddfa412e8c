"""What the guarantees say about many runs, as tests on counts and means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest

from studies.coverage.problems import Problem
from studies.coverage.runs import Calibration, Limits, Validation

# A law is given up if what was seen is less probable than this although the law holds.
LEAST_P = 1e-4


def at_most_share(count: int, runs: int, share: float) -> bool:
    """Tell whether a count is compatible with a probability of at most a share in each run."""
    return bool(binomtest(count, runs, share, alternative="greater").pvalue > LEAST_P)


def upper_limit(count: int, runs: int) -> float:
    """Return the upper 95% limit of the probability behind a count."""
    return float(binomtest(count, runs, alternative="less").proportion_ci(0.95, "exact").high)


@final
@dataclass(frozen=True)
class Misses:
    """How often a bound was below the truth at one parameter value.

    Args:
        name: of the value.
        value: the value.
        truth: the exact error there.
        runs: how many bounds were judged.
        delta: the share of misses that is allowed.
        least: misses of the least bound that holds at the value.
        largest: misses of the largest.
        median: the median of the least bounds.
    """

    name: str
    value: tuple[float, ...]
    truth: float
    runs: int
    delta: float
    least: int
    largest: int
    median: float

    @property
    def upper(self) -> float:
        """Upper 95% limit of the miss rate."""
        return upper_limit(self.least, self.runs)

    @property
    def holds(self) -> bool:
        """Whether the misses are compatible with the law."""
        return at_most_share(self.least, self.runs, self.delta)


def misses(problem: Problem, delta: float, found: Sequence[Validation]) -> list[Misses]:
    """Count misses at each of a problem's values."""
    rows = []
    for i, (name, value) in enumerate(problem.values.items()):
        truth = problem.truth(value)
        least, largest = (np.array([getattr(one, which)[i] for one in found]) for which in ("least", "largest"))
        rows.append(
            Misses(
                name,
                value,
                truth,
                len(found),
                delta,
                int((least < truth).sum()),
                int((largest < truth).sum()),
                float(np.median(least)),
            )
        )
    return rows


def noticed_rate(runs: int, delta: float, power: float = 0.95) -> float:
    """Return the true miss rate from which on a test with this many runs fails with a given probability.

    NaN if there are too few runs for it ever to fail.
    """
    critical = int(binom.isf(LEAST_P, runs, delta)) + 1  # the least count whose p-value is at most LEAST_P
    if critical > runs:
        return float("nan")
    return float(brentq(lambda rate: binom.sf(critical - 1, runs, rate) - power, delta, 1.0))


@final
@dataclass(frozen=True)
class Mean:
    """A mean over runs that a law bounds.

    Args:
        mean: the mean.
        error: its standard error.
        sd: the standard deviation of single runs.
        runs: how many.
    """

    mean: float
    error: float
    sd: float
    runs: int

    @staticmethod
    def of(values: Sequence[float]) -> Mean:
        """Summarise runs."""
        sd = float(np.std(values, ddof=1))
        return Mean(float(np.mean(values)), sd / len(values) ** 0.5, sd, len(values))

    def at_most(self, limit: float) -> bool:
        """Whether a true mean of at most the limit is compatible with the runs: within 3 standard errors."""
        return self.mean <= limit + 3 * self.error


def beyond_level(limits: Sequence[Limits]) -> Mean:
    """Summarise failed limits at simulated points minus the sum of their levels, per run: at most 0 on average.

    Far sharper than misses, which need several limits to fail, or one by more than the bound's other slack.
    """
    return Mean.of([one.failed - one.allowed for one in limits])


def surplus(limits: Sequence[Limits]) -> Mean:
    """Summarise surpluses of rejections per run: 0 on average if simulations had no part in choosing their points."""
    return Mean.of([one.surplus for one in limits])


def exact_errors(problem: Problem, found: Sequence[Calibration]) -> dict[str, Mean]:
    """Summarise exact errors of calibrated thresholds at each of a problem's values."""
    return {name: Mean.of([one.errors[i] for one in found]) for i, name in enumerate(problem.values)}


def exceeding(alpha: float, found: Sequence[Calibration]) -> int:
    """Return in how many runs the largest exact error over the region is above alpha."""
    return sum(one.largest > alpha for one in found)


def broken_by_validations(problem: Problem, delta: float, found: Sequence[Validation]) -> list[str]:
    """Return what validations do not keep of what is promised, in words."""
    laws = {
        f"misses at {row.name} {row.value}: {row.least} in {row.runs}": row.holds
        for row in misses(problem, delta, found)
    }
    for passes in ("first", "repairs"):
        beyond = beyond_level([getattr(one, passes) for one in found])
        laws[f"limits at simulated points, {passes}: {beyond.mean:+.3g} a run beyond their levels"] = beyond.at_most(0)
        rejections = surplus([getattr(one, passes) for one in found])
        laws[f"surplus of rejections, {passes}: {rejections.mean:+.3g} ± {rejections.error:.3g}"] = (
            abs(rejections.mean) <= 3 * rejections.error
        )
    return [law for law, holds in laws.items() if not holds]


def broken_by_calibrations(
    problem: Problem, alpha: float, found: Sequence[Calibration], confidence: float | None = None
) -> list[str]:
    """Return what calibrations do not keep of what is promised, in words."""
    count, runs = exceeding(alpha, found), len(found)
    if confidence is not None and not at_most_share(count, runs, 1 - confidence):
        return [f"largest exact error above alpha in {count} of {runs} runs with confidence {confidence}"]
    return [
        f"mean exact error at {name} {problem.values[name]}: {mean.mean:.5f} ± {mean.error:.5f}"
        for name, mean in exact_errors(problem, found).items()
        if not mean.at_most(alpha)
    ]
