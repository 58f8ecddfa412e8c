"""What a run says that its result rests on, and that odd requests neither break a job nor a certificate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

import adagrid as ada
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayZ

GRID = ada.cartesian_grid([-2], [0], n=4, null_hypos=["theta0 <= 0"])
Z = {"threshold": 1.96, "grid": GRID}


@pytest.mark.parametrize("target", [0.002, 0.5])
def test_a_search_is_no_fixed_grid_whatever_is_asked_later(target):
    """Nor if it met its targets at once: it would have gone on otherwise."""
    store, targets = PandasStore(), {"max_target": target, "global_target": target}
    run = flat.ada_validate(ArrayZ(), **Z, **targets, init_sims=1024, max_sims=1024, n_steps=3, db=store)
    assert run.converged == (target == 0.5)
    assert len(run.table("steps")) == (1 if run.converged else 3)
    assert run.guarantee == "search only"
    again = flat.ada_validate(ArrayZ(), db=store, overrides={"n_steps": 1})
    assert again.guarantee == "search only"
    assert "search only" in again.summary()
    assert again.certify().guarantee == "certified"


def test_nothing_is_certified_before_it_is_simulated():
    run = flat.ada_validate(ArrayZ(), **Z, init_sims=64, max_sims=64, n_steps=1, timeout=1e-9)
    assert run.status is ada.Status.TIMED_OUT
    assert (run.bound, run.guarantee) == (1.0, "search only")
    with pytest.raises(ada.errors.InvalidInputError, match="nothing to certify"):
        run.certify()
    for stages in (1, 3):
        run = flat.ada_validate(ArrayZ(), **Z, method="interpolated", n_steps=stages)
        assert (run.bound, run.guarantee, run.status) == (1.0, "search only", ada.Status.REACHED_N_STEPS)
        assert "none yet" in run.summary()
        run.verify()


def test_a_fixed_grid_is_certified():
    run = flat.validate(ArrayZ(), threshold=1.96, grid=GRID)
    assert run.guarantee == "certified"
    assert run.certify() is run


def test_an_opened_job_is_not_certified_without_its_design(tmp_path):
    flat.ada_validate(ArrayZ(), **Z, n_steps=2, db=tmp_path / "job.duckdb").close()
    with ada.open_job(tmp_path / "job.duckdb") as run, pytest.raises(ada.errors.InvalidInputError, match="Continue it"):
        run.certify()


def test_stopped_in_a_pass_and_looked_at():
    """What is there verifies; continued, the job ends as it would have."""
    expected = flat.ada_validate(ArrayZ(), **Z, method="interpolated").table("vertices")
    store, original = PandasStore(), PandasStore._append

    def stopping(self, frames):
        if "vertices" in frames and len(self.table("vertices")):
            raise KeyboardInterrupt
        original(self, frames)

    store._append = stopping.__get__(store)
    with pytest.raises(KeyboardInterrupt):
        flat.ada_validate(ArrayZ(), **Z, method="interpolated", packet_size=1, db=store)
    del store._append
    with ada.open_job(store) as run:
        run.verify()
        assert run.guarantee == "search only"
    again = flat.ada_validate(ArrayZ(), db=store)
    assert again.converged
    np.testing.assert_array_equal(again.table("vertices")["rejections"], expected["rejections"])


class Constant(ada.ArrayModel):
    """A design whose decision does not depend on the data."""

    family = ada.Normal()

    def __init__(self, value):
        self.value = value

    def simulate(self, begin, end, theta, null_truth):
        return np.full((len(theta), end - begin), self.value)


@pytest.mark.parametrize("value", [-1.0, 1.0, float("inf")])
@pytest.mark.parametrize("target", [0.002, 0.05])
def test_designs_that_always_or_never_reject(value, target):
    grid = ada.cartesian_grid([-1], [0], n=1)
    targets = {"max_target": target, "global_target": max(target, 0.005)}
    targets |= {"trust_family": "a constant contradicts no family"}
    run = flat.ada_validate(Constant(value), threshold=0.0, grid=grid, method="interpolated", **targets)
    run.verify()
    assert run.bound == 1.0 if value < 0 else run.bound <= targets["global_target"]


@pytest.mark.parametrize("targets", [(0.005, 0.005), (0.01, 0.005), (0.5, 0.5), (0.004, 0.0042)])
def test_targets_in_any_proportion(targets):
    run = flat.ada_validate(ArrayZ(), **Z, method="interpolated", max_target=targets[0], global_target=targets[1])
    run.verify()
    assert run.bound >= 0.02499


class Wide(ada.ArrayModel):
    """A z-test with so many patients that its region is hundreds of standard errors wide."""

    family = ada.Normal(sd=2.0, n=10_000)
    reject_when = "large"

    def simulate(self, begin, end, theta, null_truth):
        return ndtri(self.uniforms(begin, end, 1)).T + theta * 50


def test_a_wide_region():
    grid = ada.cartesian_grid([-10], [0], n=8, null_hypos=["theta0 <= 0"])
    run = flat.ada_calibrate(Wide(), grid=grid, method="interpolated")
    run.verify()
    assert (run.results()["tie_bound"] <= 0.025).all()
    assert 1.85 < run.threshold < 2.1


@pytest.mark.parametrize("alpha", [1e-3, 0.5])
def test_levels_far_from_the_usual(alpha):
    targets = {"grid_target": 0.1 * alpha, "bias_target": 0.2 * alpha, "std_target": 0.2 * alpha}
    run = flat.ada_calibrate(ArrayZ(), alpha=alpha, grid=GRID, method="interpolated", **targets)
    run.verify()
    assert norm.sf(run.threshold) == pytest.approx(alpha, rel=0.5)
