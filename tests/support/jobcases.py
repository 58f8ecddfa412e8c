"""Small jobs that take a second, for tests that run many, and what must be equal between two runs."""

from __future__ import annotations

import pandas as pd
from jax.scipy.stats import norm

import adagrid as ada
from adagrid.stores.schema import INCIDENTAL

CLASSIC = ("validate_z", "validate_fisher", "calibrate_z", "calibrate_fisher")
STAGED = tuple(f"staged_{case}" for case in CLASSIC)
# Of other quantities than the error.
QUANTITIES = ("validate_power", "staged_validate_mean")
CASES = CLASSIC + STAGED + QUANTITIES


class PValue(ada.ZTest):
    """A z-test's p-value, for its mean."""

    value_range = (0.0, 1.0)

    def statistic(self, draw, theta, null_truth):
        """Return the p-value."""
        return norm.sf(super().statistic(draw, theta, null_truth))


def run_case(case: str, **changes):
    """Run one of the small jobs; `changes` are more arguments of the entry point."""
    if case == "validate_power":
        grid = ada.cartesian_grid([0.5], [2.5], n=3, alternatives=["x >= 1"])
        more = {"grid": grid, "quantity": "power", "max_target": 0.03, "global_target": 0.05}
        return run_case("validate_z", **(more | changes))
    if case == "staged_validate_mean":
        grid = ada.cartesian_grid([-1], [0.3], n=2)
        more = {"grid": grid, "quantity": "mean", "method": "interpolated", "max_target": 0.02, "global_target": 0.03}
        return ada.ada_validate(PValue(), **(more | changes))
    if case in STAGED:
        return run_staged(case.removeprefix("staged_"), **changes)
    kind, _, name = case.partition("_")
    if name == "z":
        model, grid = ada.ZTest(), ada.cartesian_grid([-1], [0.3], n=3, null_hypos=["x <= 0"])
    else:
        model, grid = ada.FisherExact(10), ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["x1 <= x0"])
    common = {"grid": grid, "init_sims": 512, "max_sims": 2048, "step_size": 6, "n_steps": 8}
    if kind == "validate":
        threshold = 1.96 if name == "z" else 0.05
        targets = {"max_target": 0.004, "global_target": 0.008}
        return ada.ada_validate(model, **({"threshold": threshold} | common | targets | changes))
    more = {"alpha": 0.05, "n_bootstrap": 8, "min_rank": 5}
    return ada.ada_calibrate(model, **(more | common | changes))


def run_staged(case: str, **changes):
    """Run the interpolated job of a case, with loose targets."""
    kind, _, name = case.partition("_")
    if name == "z":
        model, grid = ada.ZTest(), ada.cartesian_grid([-1], [0.3], n=2, null_hypos=["x <= 0"])
    else:
        model, grid = ada.FisherExact(10), ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["x1 <= x0"])
    common = {"grid": grid, "method": "interpolated"}
    if kind == "validate":
        threshold = 1.96 if name == "z" else 0.05
        targets = {"max_target": 0.002, "global_target": 0.005}
        return ada.ada_validate(model, **({"threshold": threshold} | common | targets | changes))
    targets = {"grid_target": 0.004, "bias_target": 0.004, "std_target": 0.004, "n_bootstrap": 8, "min_rank": 5}
    return ada.ada_calibrate(model, **({"alpha": 0.05} | common | targets | changes))


def run_and_tell(connection, case: str, **changes) -> None:
    """Run one of the jobs in a process of its own, which tells when it begins."""
    connection.send("ready")
    run_case(case, **changes)


def tables(run) -> dict[str, pd.DataFrame]:
    """Return what two runs of the same job must agree on, without times and workers."""
    frames = {"tiles": run.tiles(), "results": run.results(active=False), "done": run.done()}
    frames |= {"steps": run.steps(), "coordinations": run.coordinations()}
    if run.record.method == "interpolated":
        frames |= {"points": run.points(), "pilot": run.pilot(), "vertices": run.vertices(), "cells": run.cells()}
    return {name: frame.drop(columns=list(INCIDENTAL)) for name, frame in frames.items()}


def assert_same(run, expected: dict[str, pd.DataFrame]) -> None:
    """Equal to the last bit, types included."""
    for name, frame in tables(run).items():
        pd.testing.assert_frame_equal(frame, expected[name], check_exact=True, obj=name)
