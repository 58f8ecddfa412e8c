"""Small jobs that take well under a second and compile nothing, and what must be equal between two runs."""

from __future__ import annotations

from functools import cache

import pandas as pd

import adagrid as ada
from adagrid.stores.tables import INCIDENTAL
from adagrid.testing import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayFisher, ArrayPValue, ArrayZ

CLASSIC = ("validate_z", "validate_fisher", "calibrate_z", "calibrate_fisher")
STAGED = tuple(f"staged_{case}" for case in CLASSIC)
# Of other quantities than the error.
QUANTITIES = ("validate_power", "staged_validate_mean")
CASES = CLASSIC + STAGED + QUANTITIES
# The steps of a classic job.
N_STEPS = 4
DESIGNS = {"z": ArrayZ(), "fisher": ArrayFisher(10)}
# The same designs in JAX, for tests of what is compiled.
IN_JAX = {"z": ada.ZTest(), "fisher": ada.FisherExact(10)}
# Targets and a seed with which cells miss their targets and are repaired.
REPAIRED = {"max_target": 0.008, "global_target": 0.016, "model_seed": 3}
THRESHOLDS = {"z": 1.96, "fisher": 0.05}


def run_case(case: str, model: ada.Model | None = None, **changes):
    """Run one of the small jobs; `changes` are more arguments of the entry point."""
    if case == "validate_power":
        grid = ada.cartesian_grid([0.5], [2.5], n=3, alternatives=["x >= 1"])
        more = {"grid": grid, "quantity": "power", "max_target": 0.03, "global_target": 0.05}
        return run_case("validate_z", model, **(more | changes))
    if case == "staged_validate_mean":
        grid = ada.cartesian_grid([-1], [0.3], n=2)
        more = {"grid": grid, "quantity": "mean", "method": "interpolated", "max_target": 0.02, "global_target": 0.03}
        return flat.ada_validate(model or ArrayPValue(), **(more | changes))
    if case in STAGED:
        return run_staged(case.removeprefix("staged_"), model, **changes)
    kind, _, name = case.partition("_")
    if name == "z":
        grid = ada.cartesian_grid([-1], [0.3], n=3, null_hypos=["x <= 0"])
    else:
        grid = ada.cartesian_grid([-0.5, -0.5], [0.5, 0.5], n=2, null_hypos=["x1 <= x0"])
    common = {"grid": grid, "init_sims": 512, "max_sims": 2048, "step_size": 6, "n_steps": N_STEPS}
    if kind == "validate":
        more = {"threshold": THRESHOLDS[name], "max_target": 0.004, "global_target": 0.008}
        return flat.ada_validate(model or DESIGNS[name], **(more | common | changes))
    more = {"alpha": 0.05, "n_bootstrap": 8, "min_rank": 5}
    return flat.ada_calibrate(model or DESIGNS[name], **(more | common | changes))


def run_staged(case: str, model: ada.Model | None, **changes):
    """Run the interpolated job of a case, with loose targets."""
    kind, _, name = case.partition("_")
    if name == "z":
        grid = ada.cartesian_grid([-1], [0.3], n=2, null_hypos=["x <= 0"])
    else:
        grid = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["x1 <= x0"])
    common = {"grid": grid, "method": "interpolated"}
    if kind == "validate":
        more = {"max_target": 0.002, "global_target": 0.005} if name == "z" else REPAIRED
        targets = {"threshold": THRESHOLDS[name]} | more
        return flat.ada_validate(model or DESIGNS[name], **(common | targets | changes))
    targets = {"grid_target": 0.004, "bias_target": 0.004, "std_target": 0.004, "n_bootstrap": 8, "min_rank": 5}
    return flat.ada_calibrate(model or DESIGNS[name], **({"alpha": 0.05} | common | targets | changes))


def run_and_tell(connection, case: str, **changes) -> None:
    """Run one of the jobs in a process of its own, which tells when it begins."""
    connection.send("ready")
    run_case(case, **changes)


def tables(run) -> dict[str, pd.DataFrame]:
    """Return what two runs of the same job must agree on, without times and workers."""
    frames = {"tiles": run.table("tiles"), "results": run.results(active=False), "done": run.table("done")}
    frames |= {"lines": run.table("lines"), "steps": run.table("steps"), "coordinations": run.table("coordinations")}
    if run.record.method.name == "interpolated":
        frames |= {
            "points": run.table("points"),
            "pilot": run.table("pilot"),
            "vertices": run.table("vertices"),
            "cells": run.table("cells"),
        }
    return {name: frame.drop(columns=list(INCIDENTAL)) for name, frame in frames.items()}


@cache
def expected(case: str, n_zones: int = 1, coordinate_every: int = 5, **changes) -> dict[str, pd.DataFrame]:
    """Return the tables of one of the jobs, run in this process's memory, once for all tests."""
    backend = ada.LocalBackend(n_zones, coordinate_every)
    return tables(run_case(case, db=PandasStore(), backend=backend, **changes))


def assert_same(run, expected: dict[str, pd.DataFrame]) -> None:
    """Equal to the last bit, types included."""
    for name, frame in tables(run).items():
        pd.testing.assert_frame_equal(frame, expected[name], check_exact=True, obj=name)
