"""A claim about a small two-arm trial, tested; and a design for which it holds."""

from __future__ import annotations

import shutil
import sys
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from adagrid.api import ada_calibrate, ada_validate
from adagrid.estimation import clopper_pearson_lower, percent_up
from adagrid.grid import Grid, cartesian_grid
from adagrid.models import FisherExact, PooledZ
from adagrid.results.run import Run
from adagrid.settings.run_options import RunOptions

_PATIENTS, _Z, _ALPHA = 12, 1.96, 0.025


def run_demo(folder: Path, console: Console) -> None:
    """Validate the pooled z-test on a trial with 12 + 12 patients, then calibrate Fisher's exact test on it.

    Args:
        folder: where the two databases go; jobs found there are continued.
        console: where the text goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grid = cartesian_grid([-3, -3], [3, 3], n=1, null_hypos=["theta1 <= theta0"])
    console.print(
        Panel(
            f"[bold]The trial[/bold]  {_PATIENTS} patients on control, {_PATIENTS} on treatment; binary outcome\n"
            f"[bold]The test[/bold]   pooled z-test, rejects when z > {_Z}\n"
            "[bold]The null[/bold]   p_treatment <= p_control, all logits in [-3, 3] (4.7% to 95.3%)\n"
            f"[bold]The claim[/bold]  Type I Error <= {_ALPHA:.1%}",
            title="adagrid demo",
            expand=False,
        )
    )
    console.rule("1. Is the claim supported?", align="left")
    _validate(folder / "validation.duckdb", grid, console)
    console.rule("2. A threshold that keeps the claim", align="left")
    _calibrate(folder / "calibration.duckdb", grid, console)


def _validate(path: Path, grid: Grid, console: Console) -> None:
    _tell_if_found(path, console)
    with ada_validate(
        PooledZ(_PATIENTS), threshold=_Z, grid=grid, db=path, progress=True, options=RunOptions(job_id="demo")
    ) as run:
        console.print(run.summary(), highlight=False, soft_wrap=True)
        if run.bound <= _ALPHA:
            console.print(
                f"\n[bold green]SUPPORTED[/]: the bound is {percent_up(run.bound)}, claimed was {_ALPHA:.1%}."
            )
        else:
            console.print(
                f"\n[bold red]NOT SUPPORTED[/]: the claim was {_ALPHA:.1%}, the bound is {percent_up(run.bound)}, and "
                "simulations reject more often than claimed:"
            )
            console.print(_failures(run.table("vertices"), run.settings.validation.delta))
        console.print(
            f"For comparison, the exact size of this test (both binomials enumerated): {_exact_size():.4%}.",
            highlight=False,
        )
        _where(run, path, console)


def _calibrate(path: Path, grid: Grid, console: Console) -> None:
    _tell_if_found(path, console)
    with ada_calibrate(
        FisherExact(_PATIENTS), alpha=_ALPHA, grid=grid, db=path, progress=True, options=RunOptions(job_id="demo")
    ) as run:
        console.print(run.summary(), highlight=False, soft_wrap=True)
        console.print(
            f"\n[bold green]CALIBRATED[/]: reject when Fisher's one-sided p-value is below {run.threshold:.7g}; the "
            f"expected Type I Error of this threshold is at most {_ALPHA:.1%}.\n"
            "For comparison, the exact answer is Boschloo's test: any threshold above 0.046584 up to 0.049766.",
            highlight=False,
        )
        _where(run, path, console)


def _tell_if_found(path: Path, console: Console) -> None:
    if path.exists():
        console.print(f"{path} is there already: the job in it is continued, or shown if it has finished.\n")


def _failures(points: pd.DataFrame, delta: float) -> Table:
    """List where the claim fails: the points with the highest error, as response probabilities."""
    lower = clopper_pearson_lower(points["rejections"], points["n_sims"], delta)
    failing = points.assign(lower=lower)[lower > _ALPHA].sort_values("tie_estimate", ascending=False)
    table = Table(
        title=f"It fails at {len(failing)} of {len(points)} simulated parameter values; the worst:",
        title_justify="left",
    )
    for name in ("p control", "p treatment", "rejected", f"lower {1 - delta:.0%} limit", "simulations"):
        table.add_column(name, justify="right")
    for row in failing.head(5).to_dict("records"):
        table.add_row(
            f"{_expit(row['theta0']):.3f}",
            f"{_expit(row['theta1']):.3f}",
            f"{row['tie_estimate']:.2%}",
            f"{row['lower']:.2%}",
            f"{row['n_sims']:,}",
        )
    return table


def _exact_size() -> float:
    """Return the largest rejection probability of the z-test when both arms respond alike, by enumeration."""
    table = PooledZ(_PATIENTS).table(_PATIENTS, _PATIENTS)
    responders = np.arange(_PATIENTS + 1)
    ways = np.array([comb(_PATIENTS, count) for count in range(_PATIENTS + 1)])
    sizes = []
    for p in np.linspace(_expit(-3.0), _expit(3.0), 2001):
        mass = ways * p**responders * (1 - p) ** (_PATIENTS - responders)
        sizes.append(float(mass @ (table > _Z) @ mass))
    return max(sizes)


def _expit(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def _where(run: Run, path: Path, console: Console) -> None:
    run.verify()
    command = Path(sys.executable).with_name("adagrid")
    if shutil.which("adagrid") == str(command):
        shown = "adagrid"
    else:  # not on the path: relative to here if it is below
        shown = str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)
    console.print(
        f"Database:     {path}\nLook into it: [bold]{shown} show {path}[/bold]\n", highlight=False, soft_wrap=True
    )
