"""Makes the pictures of gallery.md, and writes the numbers between its markers.

    python docs/gallery_pictures.py              # every design, about a minute
    python docs/gallery_pictures.py ZTest Dunnett

A design is one function that returns its cases, and one entry of DESIGNS; gallery.md needs a section with its two
markers. Ends with status 1 if a certified bound is below the exact error.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit
from scipy.stats import beta, binom, norm, t

import adagrid as ada
from adagrid.plots import collect_error_curve, collect_error_surface, draw_error_curve, draw_error_surface

DOCS = Path(__file__).parent
sys.path += [str(DOCS.parent / "tests"), str(DOCS.parent / "examples")]

from oracles import (  # noqa: E402
    binomial_error,
    binomial_size,
    dunnett_error,
    fisher_table,
    group_sequential_error,
    many_to_one_error,
    pooled_z_table,
    unpooled_z_table,
)
from welch import Welch  # noqa: E402

mpl.use("Agg")
CRITICAL = float(norm.isf(0.025))
# Logits of the two-arm trials, and places per side at which their exact errors are computed.
END, PLACES = 1.5, 241


@final
@dataclass(frozen=True)
class Case:
    """One validation.

    Args:
        title: what is validated.
        design: the design.
        threshold: its threshold.
        level: the level that it should keep.
        grid: the region.
        exact: the largest exact error in the region.
        source: where that comes from.
        truth: the exact error as a function of the parameter, where there is one.
        at: values of the parameters that the picture does not show, by number.
        coordinate: what the parameter is, where there is one.
        targets: targets of the job that are not the defaults.
    """

    title: str
    design: ada.Model
    threshold: float
    level: float
    grid: ada.Grid
    exact: float
    source: str
    truth: Callable[[np.ndarray], np.ndarray] | None = None
    at: Mapping[int, float] = field(default_factory=dict)
    coordinate: str = ""
    targets: Mapping[str, float] = field(default_factory=dict)


def z_test():
    """The z-test at 1.96."""
    grid = ada.cartesian_grid([-2], [0], n=1, null_hypos=["theta0 <= 0"])
    return [
        Case(
            "z-test above 1.960", ada.ZTest(), CRITICAL, 0.025, grid, float(norm.sf(CRITICAL)),
            "SciPy: normal distribution function", truth=lambda theta: norm.cdf(theta - CRITICAL),
            coordinate="theta0: true mean, in standard errors",
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
            group_sequential_error(bounds, shares), source, truth=_smooth(bounds, shares),
            coordinate="theta0: true mean, in standard errors",
        )
        for name, shape, threshold, bounds, source in (
            ("Pocock", "pocock", 2.41318, 2.41318, published),
            ("O'Brien-Fleming", "obrien-fleming", 2.04007, 2.04007 / np.sqrt(shares), published),
            ("Unadjusted", "pocock", CRITICAL, CRITICAL, doubled),
        )
    ]  # fmt: skip


def _smooth(bounds, shares):
    """The exact error of five looks, from some places between which its logarithm hardly bends."""
    theta = np.linspace(-2, 0, 21)
    errors = [group_sequential_error(bounds, shares, drift) for drift in theta]
    curve = CubicSpline(theta, np.log(errors))
    return lambda places: np.exp(curve(places))


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
        "SciPy: binomial tail", truth=truth, coordinate="theta0: logit of the response probability, 5% to 15%",
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


DESIGNS = {
    "ZTest": z_test,
    "GroupSequential": group_sequential,
    "Dunnett": dunnett,
    "ManyToOne": many_to_one,
    "FisherExact": fisher_exact,
    "Boschloo": boschloo,
    "PooledZ": pooled_z,
    "UnpooledZ": unpooled_z,
    "DecisionTable": decision_table,
    "BayesianBasket": bayesian_basket,
    "ArrayModel": welch,
}


def draw(axes, case, run):
    """Draw the curve or the surface of a case."""
    if case.truth is None:
        draw_error_surface(collect_error_surface(run, case.at), level=case.level, ax=axes)
    else:
        draw_error_curve(collect_error_curve(run), truth=case.truth, ax=axes)
        axes.axhline(100 * case.level, color="0.35", linewidth=1, linestyle=(0, (5, 3)))
        axes.set_ylim(top=130 * max(run.bound, case.level))  # room for the legend
        axes.annotate(
            f"level {100 * case.level:g}%", (0.01, 100 * case.level), xycoords=("axes fraction", "data"),
            xytext=(0, -12), textcoords="offset points", color="0.35", fontsize="small",
        )  # fmt: skip
        axes.set_xlabel(case.coordinate)
    where = axes.get_title()
    axes.title.set(text=f"{case.title}, {where}" if where else case.title, fontsize="medium")


def row(case, run):
    """Return a line of the table. Bounds are rounded up."""
    cells = [
        case.title,
        f"{100 * case.level:g}%",
        f"{np.ceil(1e6 * run.bound) / 1e4:.4f}%",
        f"{100 * case.exact:.4f}%",
        f"{100 * (run.bound - case.exact):.4f}",
        "none: computed" if run.record.model.exact else f"{run.counts()['simulations']:,}",
        case.source,
    ]
    return f"| {' | '.join(cells)} |"


def write(page, name, rows):
    """Put a table between a design's markers."""
    begin, end = f"<!-- {name}: written by gallery_pictures.py -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"{page.name} must have the lines {begin!r} and {end!r}, once each.")
    head = "| case | level | certified bound | exact | difference (points) | simulations | source of the exact error |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|", *rows])
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


def make(name: str) -> list[str]:
    """Make a design's picture and table, and return what is wrong with it."""
    cases: list[Any] = DESIGNS[name]()
    curves = all(case.truth is not None for case in cases)
    size = (4.4 * len(cases) + 3 * (len(cases) == 1), 4) if curves else (6.6 * len(cases), 6)
    figure, panels = plt.subplots(1, len(cases), figsize=size, layout="constrained", squeeze=False)
    rows, wrong = [], []
    for axes, case in zip(panels[0], cases, strict=True):
        run = ada.ada_validate(
            case.design, threshold=case.threshold, grid=case.grid, method="interpolated", **case.targets
        )
        with run:
            run.verify()
            draw(axes, case, run)
            rows.append(row(case, run))
            if not run.converged or run.bound < case.exact:
                wrong.append(f"{name}, {case.title}: {run.status.name}, {run.bound} for {case.exact}")
    figure.savefig(DOCS / "gallery" / f"{name}.png", dpi=100, bbox_inches="tight", pil_kwargs={"optimize": True})
    plt.close(figure)
    write(DOCS / "gallery.md", name, rows)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("designs", nargs="*", metavar="design", help=f"{', '.join(DESIGNS)}; all if none is named")
    asked = parser.parse_args().designs or list(DESIGNS)
    if unknown := [name for name in asked if name not in DESIGNS]:
        parser.error(f"designs must be of {', '.join(DESIGNS)}; got {', '.join(unknown)}")
    mistakes = [line for name in asked for line in make(name)]
    if mistakes:
        sys.exit("\n".join(mistakes))
