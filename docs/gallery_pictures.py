"""Makes the pictures of gallery.md, and writes the numbers between its markers.

    python docs/gallery_pictures.py              # every section, some minutes
    python docs/gallery_pictures.py ZTest Dunnett

A section is one function that returns its cases, and one entry of SECTIONS; gallery.md needs its two markers. Ends with
status 1 if a certified bound is on the wrong side of the exact value.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit
from scipy.stats import beta, binom, chi2, f, norm, t

import adagrid as ada
from adagrid.plots import collect_error_curve, collect_error_surface, draw_error_curve, draw_error_surface

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "examples")]

from tests.support.oracles import (  # noqa: E402
    binomial_error,
    binomial_size,
    dunnett_error,
    fisher_table,
    group_sequential_error,
    group_sequential_size,
    log_rank_z,
    many_to_one_error,
    pooled_z_table,
    survival_data,
    two_looks_t_error,
    unpooled_z_table,
)
from welch import Welch  # noqa: E402

mpl.use("Agg")
CRITICAL = float(norm.isf(0.025))
# Logits of the two-arm trials, and places per side at which their exact errors are computed.
END, PLACES = 1.5, 241
# Targets of jobs over regions with means and variances, or with two hazards.
WIDER = {"max_target": 0.004, "global_target": 0.01}
NATURAL = ["theta0: mu / sigma^2", "theta1: -1 / (2 sigma^2)"]
HAZARDS = ["theta0: hazard of the control", "theta1: hazard of the treatment"]
# Log-rank trials in NumPy, for each of some hazards.
TRIALS = 2**18


@final
@dataclass(frozen=True)
class Case:
    """One validation.

    Args:
        title: what is validated.
        design: the design.
        threshold: its threshold; none for means.
        level: the level that it should keep, or the power that it should have, if any.
        grid: the region.
        exact: the largest exact error or mean in the region, or the least exact power.
        source: where that comes from.
        quantity: what is bounded.
        standard_error: of `exact`, if that is an estimate from simulations.
        truth: the exact quantity as a function of the parameter, where there is one.
        at: values of the parameters that the picture does not show, by number.
        labels: of the axes, where they are not the plot's own.
        targets: targets of the job that are not the defaults.
    """

    title: str
    design: ada.Model
    threshold: float | None
    level: float | None
    grid: ada.Grid
    exact: float
    source: str
    quantity: Literal["error", "power", "mean"] = "error"
    standard_error: float = 0.0
    truth: Callable[[np.ndarray], np.ndarray] | None = None
    at: Mapping[int, float] = field(default_factory=dict)
    labels: Sequence[str] = ()
    targets: Mapping[str, float] = field(default_factory=dict)


def z_test():
    """The z-test at 1.96."""
    grid = ada.cartesian_grid([-2], [0], n=1, null_hypos=["theta0 <= 0"])
    return [
        Case(
            "z-test above 1.960", ada.ZTest(), CRITICAL, 0.025, grid, float(norm.sf(CRITICAL)),
            "SciPy: normal distribution function", truth=lambda theta: norm.cdf(theta - CRITICAL),
            labels=["theta0: true mean, in standard errors"],
        )
    ]  # fmt: skip


def group_sequential():
    """Five looks with the boundaries of Pocock, of O'Brien and Fleming, and without adjustment."""
    grid = ada.cartesian_grid([-2], [0], n=1, null_hypos=["theta0 <= 0"])
    shares = np.arange(1, 6) / 5
    published = "recursion of Armitage, McPherson and Rowe (1969); constant of Jennison and Turnbull (1999)"
    doubled = "the same recursion; half of their two-sided .1417"
    return [
        Case(
            f"{name}, above {threshold:.6g}", ada.GroupSequential(5, shape), threshold, 0.025, grid,
            group_sequential_error(bounds, shares), source,
            truth=_smooth(lambda drift, b=bounds: group_sequential_error(b, shares, drift), -2, 0),
            labels=["theta0: true mean, in standard errors"],
        )
        for name, shape, threshold, bounds, source in (
            ("Pocock", "pocock", 2.41318, 2.41318, published),
            ("O'Brien-Fleming", "obrien-fleming", 2.04007, 2.04007 / np.sqrt(shares), published),
            ("Unadjusted", "pocock", CRITICAL, CRITICAL, doubled),
        )
    ]  # fmt: skip


def _smooth(exact, low, high):
    """The exact value along one parameter, from some places between which its logarithm hardly bends."""
    places = np.linspace(low, high, 21)
    curve = CubicSpline(places, np.log([exact(place) for place in places]))
    return lambda theta: np.exp(curve(theta))


def expected_size():
    """The expected sample size of five looks, the first four of which stop for futility at a mean of zero or less."""
    low, high = -1, 4
    grid = ada.cartesian_grid([low], [high], n=1)
    shares, futility = np.arange(1, 6) / 5, [0.0] * 4
    cases = []
    for name, shape, threshold, bounds in (
        ("Pocock", "pocock", 2.41318, 2.41318),
        ("O'Brien-Fleming", "obrien-fleming", 2.04007, 2.04007 / np.sqrt(shares)),
    ):
        size = lambda drift, b=bounds: group_sequential_size(b, shares, drift, futility=futility)  # noqa: E731
        truth = _smooth(size, low, high)
        cases.append(
            Case(
                f"{name}, above {threshold:.6g}",
                ada.GroupSequentialSize(5, shape, threshold=threshold, futility=futility), None, None, grid,
                float(truth(np.linspace(low, high, 10001)).max()),
                "SciPy: multivariate normal probabilities of going on", quantity="mean", truth=truth,
                labels=["theta0: true mean, in standard errors", "expected share of all observations"],
                targets={"max_target": 0.005, "global_target": 0.01},
            )
        )  # fmt: skip
    return cases


def t_test():
    """The t-test, by Student's quantile and by the normal one."""
    design = ada.TTest(10)
    return [
        Case(
            f"{name}, above {threshold:.5f}", design, threshold, 0.025, _means_and_variances(design),
            float(t.sf(threshold, 9)), "SciPy: Student's distribution function", targets=WIDER, labels=NATURAL,
        )
        for name, threshold in (("Student", float(t.isf(0.025, 9))), ("Normal quantile", CRITICAL))
    ]  # fmt: skip


def group_sequential_t():
    """Two looks at 6 and 16 observations: Pocock's boundary at its tail probability of t, and that of a single look."""
    sizes = (6, 16)
    cases = []
    for name, tail in (("Pocock's tail probability", norm.sf(2.17827)), ("2.5% at each look", 0.025)):
        bounds = t.isf(tail, np.array(sizes) - 1)
        design = ada.GroupSequentialT(sizes, bounds.tolist())
        cases.append(
            Case(
                f"{name}, above {bounds[0]:.4f} and {bounds[1]:.4f}", design, 1.0, 0.025, _means_and_variances(design),
                two_looks_t_error(*bounds, sizes), "an integral over the first look and the second stage",
                targets=WIDER, labels=NATURAL,
            )
        )  # fmt: skip
    return cases


def _means_and_variances(design):
    """Standard deviations from .91 to 1.12, and means from -.25 to 0."""
    return ada.cartesian_grid([-0.2, -0.6], [0, -0.4], n=1, null_hypos=design.null_hypos)


def chi_squared_variance():
    """The chi-squared test that a variance is above 1, and a normal approximation of it."""
    design = ada.ChiSquaredVariance(10)
    grid = ada.cartesian_grid([1.0], [2.0], n=1, null_hypos=design.null_hypos)
    return [
        Case(
            f"{name}, above {threshold:.6g}", design, threshold, 0.025, grid, float(chi2.sf(threshold, 9)),
            "SciPy: chi-squared distribution function", truth=lambda theta, c=threshold: chi2.sf(c * theta, 9),
            labels=["theta0: precision 1/sigma^2"],
        )
        for name, threshold in (
            ("Chi-squared", float(chi2.isf(0.025, 9))),
            ("Normal approximation", float(9 + CRITICAL * np.sqrt(18))),
        )
    ]  # fmt: skip


def two_exponentials():
    """Two arms of 20 waiting times, by the F test and by Wald's test of the log ratio."""
    cases = []
    for name, test, threshold, ratio in (
        ("F test", "f", float(f.isf(0.025, 40, 40)), float(f.isf(0.025, 40, 40))),
        ("Wald test", "wald", CRITICAL, float(np.exp(CRITICAL * np.sqrt(1 / 10)))),
    ):
        design = ada.TwoExponentials(20, test)
        grid = ada.cartesian_grid([0.8] * 2, [1.2] * 2, n=1, null_hypos=design.null_hypos)
        cases.append(
            Case(
                f"{name}, above {threshold:.5f}", design, threshold, 0.025, grid, float(f.sf(ratio, 40, 40)),
                "SciPy: F distribution function", targets=WIDER, labels=HAZARDS,
            )
        )  # fmt: skip
    return cases


def log_rank():
    """The log-rank test with equal and with unequal arms, about 77% deaths; its size by other simulations."""
    cases = []
    for n in ((20, 20), (8, 24)):
        design = ada.LogRank(n, accrual=1.0, follow_up=1.0)
        grid = ada.cartesian_grid([0.9] * 2, [1.1] * 2, n=1, null_hypos=design.null_hypos)
        size = max(_log_rank_size(n, hazard) for hazard in (0.9, 1.0, 1.1))
        cases.append(
            Case(
                f"{n[0]} on control, {n[1]} treated, above 1.960", design, CRITICAL, 0.025, grid, size,
                f"not exact: the largest of {TRIALS:,} trials each in NumPy with both hazards .9, 1, or 1.1",
                standard_error=float(np.sqrt(size * (1 - size) / TRIALS)), targets=WIDER, labels=HAZARDS,
            )
        )  # fmt: skip
    return cases


def _log_rank_size(n, hazard, parts=64):
    trials = (survival_data(n, (hazard, hazard), 1.0, 1.0, TRIALS // parts, seed) for seed in range(parts))
    return sum(int((log_rank_z(*data, n) > CRITICAL).sum()) for data in trials) / TRIALS


def dunnett():
    """Two treatments against a control, with and without adjustment."""
    design = ada.Dunnett(2)
    grid = ada.cartesian_grid([-1] * 3, [1] * 3, n=2, null_hypos=design.null_hypos)
    return [
        Case(
            f"{name}, above {threshold:.6g}", design, threshold, 0.025, grid, dunnett_error(threshold, 2), source,
            at={0: 0.0}, targets={"max_target": 0.004, "global_target": 0.01},
        )
        for name, threshold, source in (
            ("Dunnett", 2.2121, "one integral over the control's mean (Dunnett 1955)"),
            ("Unadjusted", CRITICAL, "the same integral"),
        )
    ]  # fmt: skip


def many_to_one():
    """Two binomial treatments against a control."""
    design = ada.ManyToOne(20, 2)
    grid = ada.cartesian_grid([-1] * 3, [1] * 3, n=2, null_hypos=design.null_hypos)
    reject = pooled_z_table(20) > CRITICAL
    exact = max(many_to_one_error(reject, 2, rate) for rate in expit(np.linspace(-1, 1, 401)))
    return [
        Case(
            "20 patients an arm, above 1.960", design, CRITICAL, 0.025, grid, exact,
            "sums over all outcomes where the three arms respond alike", at={0: 0.75},
            targets={"max_target": 0.005, "global_target": 0.0125},
        )
    ]  # fmt: skip


def fisher_exact():
    """Fisher's test."""
    return [_two_arms("p < 0.025", ada.FisherExact(20), 0.025, fisher_table(20) < 0.025)]


def boschloo():
    """Boschloo's test: Fisher's p-values up to the largest for which they keep the level at any common rate."""
    fisher, level = np.round(fisher_table(20), 12), 0.025
    kept = bisect_left(np.unique(fisher), level, key=lambda p: binomial_size(fisher <= p))
    reject = fisher < np.unique(fisher)[kept]
    return [_two_arms("p < 0.025", ada.Boschloo(20), 0.025, reject)]


def pooled_z():
    """The pooled z-test."""
    return [_two_arms("z above 1.960", ada.PooledZ(20), CRITICAL, pooled_z_table(20) > CRITICAL)]


def unpooled_z():
    """The unpooled z-test."""
    return [_two_arms("z above 1.960", ada.UnpooledZ(20), CRITICAL, unpooled_z_table(20) > CRITICAL)]


def _two_arms(title, design, threshold, reject):
    """Two arms of 20, for logits from -1.5 to 1.5."""
    grid = ada.cartesian_grid([-END] * 2, [END] * 2, n=1, null_hypos=["theta1 <= theta0"])
    theta = np.stack(np.meshgrid(*[np.linspace(-END, END, PLACES)] * 2), axis=-1)
    null = theta[theta[..., 1] <= theta[..., 0]]
    boundary = np.repeat(np.linspace(-END, END, 20001)[:, None], 2, axis=1)
    exact = max(binomial_error(reject, null).max(), binomial_error(reject, boundary).max())
    source = "sums over all outcomes, on a fine lattice of the region and finer on its boundary"
    return Case(title, design, threshold, 0.025, grid, float(exact), source)


def decision_table():
    """One arm from a CSV file, and Fisher's test as a table."""
    design = ada.DecisionTable.from_csv(DOCS.parent / "examples" / "single_arm.csv", n=20)
    grid = ada.cartesian_grid([logit(0.05)], [logit(0.15)], n=1)
    truth = lambda theta: binom.sf(6, 20, expit(theta))  # noqa: E731
    one = Case(
        "One arm, 7 of 20 responders", design, 0.5, 0.025, grid, float(binom.sf(6, 20, 0.15)),
        "SciPy: binomial tail", truth=truth, labels=["theta0: logit of the response probability, 5% to 15%"],
    )  # fmt: skip
    fisher = ada.DecisionTable.of(ada.FisherExact(20))
    return [one, _two_arms("Fisher's test as a table, p < 0.025", fisher, 0.025, fisher_table(20) < 0.025)]


def bayesian_basket():
    """Two arms that borrow from each other."""
    design, threshold = ada.BayesianBasket(10, 2), 0.95
    low, high, boundary = -3.5, -1.0, float(logit(0.1))
    grid = ada.cartesian_grid([low] * 2, [high] * 2, n=1, null_hypos=design.null_hypos)
    outcomes = np.indices((11, 11)).reshape(2, -1).T
    above = [[design.probability(outcome, arm) > threshold for arm in range(2)] for outcome in outcomes]
    first, second = np.array(above).T.reshape(2, 11, 11)
    null, false = np.linspace(low, boundary, PLACES), np.linspace(boundary, high, PLACES)
    both = binomial_error(first | second, np.stack(np.meshgrid(null, null), axis=-1)).max()
    one = binomial_error(first, np.stack(np.meshgrid(null, false), axis=-1)).max()
    return [
        Case(
            "10 patients an arm, probability above 0.95", design, threshold, 0.1, grid, float(max(both, one)),
            "sums over all outcomes of the design's own decisions, on a fine lattice of the region with its boundaries",
        )
    ]  # fmt: skip


def welch():
    """Welch's t-test, ten patients an arm, equal variances: its degrees of freedom are random, t given them is not."""
    patients, level = 10, 0.05
    nodes, weights = np.polynomial.legendre.leggauss(400)
    share = (1 + nodes) / 2  # of the first variance in the sum of both
    freedom = (patients - 1) / (share**2 + (1 - share) ** 2)
    mass = weights / 2 * beta.pdf(share, (patients - 1) / 2, (patients - 1) / 2)
    exact = float(mass @ t.sf(t.isf(level, freedom), 2 * (patients - 1)))
    grid = ada.cartesian_grid([-0.5] * 2, [0.5] * 2, n=1, null_hypos=["theta1 <= theta0"])
    return [
        Case(
            "Welch's t-test, p < 0.05", Welch(patients), level, level, grid, exact,
            "one integral over the ratio of the sample variances",
            targets={"max_target": 0.004, "global_target": 0.01},
        )
    ]  # fmt: skip


def power():
    """The power of a group-sequential test, and of Fisher's test where logits differ by at least 1.5."""
    least, most, shares = 3.0, 5.0, np.arange(1, 6) / 5
    grid = ada.cartesian_grid([2.0], [most], n=1, alternatives=[f"theta0 >= {least}"])
    exact = lambda drift: group_sequential_error(2.04007 / np.sqrt(shares), shares, drift)  # noqa: E731
    one = Case(
        "O'Brien-Fleming with five looks, above 2.04007", ada.GroupSequential(5), 2.04007, 0.8, grid, exact(least),
        "recursion of Armitage, McPherson and Rowe (1969)", quantity="power", truth=_smooth(exact, least, most),
        labels=["theta0: true mean, in standard errors"],
    )  # fmt: skip
    low, high, effect = np.array([-2.0, -0.5]), np.array([0.0, 1.5]), 1.5
    grid = ada.cartesian_grid(low, high, n=1, alternatives=[f"theta1 >= theta0 + {effect}"])
    reject = fisher_table(50) < 0.025
    theta = np.stack(np.meshgrid(*np.linspace(low, high, PLACES).T), axis=-1)
    inside = theta[theta[..., 1] >= theta[..., 0] + effect]
    boundary = np.linspace(low[0], high[0], 20001)[:, None] + [0.0, effect]
    exact = min(binomial_error(reject, inside).min(), binomial_error(reject, boundary).min())
    two = Case(
        "Fisher's test with 50 an arm, p < 0.025", ada.FisherExact(50), 0.025, 0.9, grid, float(exact),
        "sums over all outcomes, on a fine lattice of the region and finer on its boundary", quantity="power",
        targets=WIDER,
    )  # fmt: skip
    return [one, two]


SECTIONS = {
    "ZTest": z_test,
    "GroupSequential": group_sequential,
    "GroupSequentialSize": expected_size,
    "TTest": t_test,
    "GroupSequentialT": group_sequential_t,
    "ChiSquaredVariance": chi_squared_variance,
    "TwoExponentials": two_exponentials,
    "LogRank": log_rank,
    "Dunnett": dunnett,
    "ManyToOne": many_to_one,
    "FisherExact": fisher_exact,
    "Boschloo": boschloo,
    "PooledZ": pooled_z,
    "UnpooledZ": unpooled_z,
    "DecisionTable": decision_table,
    "BayesianBasket": bayesian_basket,
    "ArrayModel": welch,
    "Power": power,
}


def draw(axes, case, run):
    """Draw the curve or the surface of a case."""
    if case.truth is None:
        draw_error_surface(collect_error_surface(run, case.at), level=case.level, ax=axes)
    else:
        draw_error_curve(collect_error_curve(run), truth=case.truth, ax=axes)
        if case.quantity == "error":
            axes.set_ylim(top=130 * max(run.bound, case.level))  # room for the legend
        if case.level is not None:
            axes.axhline(100 * case.level, color="0.35", linewidth=1, linestyle=(0, (5, 3)))
            left, right = case.truth(np.array(axes.get_xlim()))
            place, side = (0.99, "right") if case.quantity == "error" and left > right else (0.01, "left")
            axes.annotate(
                f"level {100 * case.level:g}%", (place, 100 * case.level), xycoords=("axes fraction", "data"), ha=side,
                xytext=(0, -12), textcoords="offset points", color="0.35", fontsize="small",
            )  # fmt: skip
    for name, label in zip(("xlabel", "ylabel"), case.labels, strict=False):
        axes.set(**{name: label})
    where = axes.get_title()
    axes.title.set(text=f"{case.title}, {where}" if where else case.title, fontsize="medium")


def row(case, run):
    """Return a line of the table. Bounds are rounded away from the exact value."""
    away = np.floor if case.quantity == "power" else np.ceil
    difference = 100 * abs(run.bound - case.exact)
    spread = 100 * case.standard_error
    cells = [
        case.title,
        "" if case.level is None else f"{100 * case.level:g}%",
        f"{away(1e6 * run.bound) / 1e4:.4f}%",
        f"about {100 * case.exact:.2f}% (standard error {spread:.2f})" if spread else f"{100 * case.exact:.4f}%",
        f"about {difference:.2f}" if spread else f"{difference:.4f}",
        "none: computed" if run.record.computed else f"{run.counts()['simulations']:,}",
        case.source,
    ]
    return f"| {' | '.join(cells)} |"


def write(page, name, rows):
    """Put a table between a section's markers."""
    begin, end = f"<!-- {name}: written by gallery_pictures.py -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"{page.name} must have the lines {begin!r} and {end!r}, once each.")
    head = "| case | level | certified bound | exact | difference (points) | simulations | source of the exact error |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|", *rows])
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


def make(name: str) -> list[str]:
    """Make a section's picture and table, and return what is wrong with it."""
    cases: list[Any] = SECTIONS[name]()
    curves = all(case.truth is not None for case in cases)
    size = (4.4 * len(cases) + 3 * (len(cases) == 1), 4) if curves else (6.6 * len(cases), 6)
    figure, panels = plt.subplots(1, len(cases), figsize=size, layout="constrained", squeeze=False)
    rows, wrong = [], []
    for axes, case in zip(panels[0], cases, strict=True):
        run = ada.ada_validate(
            case.design, threshold=case.threshold, grid=case.grid, quantity=case.quantity,
            **case.targets,
        )  # fmt: skip
        with run:
            run.verify()
            draw(axes, case, run)
            rows.append(row(case, run))
            safe = run.bound <= case.exact if case.quantity == "power" else run.bound >= case.exact
            if not run.converged or not safe:
                wrong.append(f"{name}, {case.title}: {run.status.name}, {run.bound} for {case.exact}")
    figure.savefig(DOCS / "gallery" / f"{name}.png", dpi=100, bbox_inches="tight", pil_kwargs={"optimize": True})
    plt.close(figure)
    write(DOCS / "gallery.md", name, rows)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(SECTIONS)}; all if none is named")
    asked = parser.parse_args().sections or list(SECTIONS)
    if unknown := [name for name in asked if name not in SECTIONS]:
        parser.error(f"sections must be of {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    mistakes = [line for name in asked for line in make(name)]
    if mistakes:
        sys.exit("\n".join(mistakes))
