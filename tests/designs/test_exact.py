"""Decision tables: errors that are computed, against plain sums, SciPy's tests and published figures."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, boschloo_exact

import adagrid as ada
from tests.support import flat
from tests.support.certified import calibrated, validated
from tests.support.oracles import binomial_error, binomial_size, fisher_table

NULL = ["theta1 <= theta0"]
GRID = ada.cartesian_grid([-1.5, -1.5], [1.5, 1.5], n=1, null_hypos=NULL)
TILES = ada.cartesian_grid([-1.5, -1.5], [1.5, 1.5], n=4, null_hypos=NULL)
GRIDS = {"interpolated": GRID, "classic": TILES}


def outcomes(*patients: int) -> pd.DataFrame:
    """Every outcome of some arms."""
    counts = np.indices([n + 1 for n in patients]).reshape(len(patients), -1).T
    return pd.DataFrame(counts, columns=[f"responders{i}" for i in range(len(patients))])


@pytest.mark.parametrize(("method", "n", "size"), [("interpolated", 12, 0.032016), ("classic", 10, 0.021095)])
def test_sizes_of_fishers_test(method, n, size):
    assert binomial_size(fisher_table(n) < 0.05, -1.5, 1.5) == pytest.approx(size, abs=5e-7)
    model = ada.DecisionTable.of(ada.FisherExact(n))
    run = validated(model, 0.05, GRIDS[method], method=method, max_target=0.002, global_target=0.005)
    run.verify()
    assert run.converged
    assert run.guarantee == "certified"
    assert "for certain" in run.summary()
    told = "errors are computed: no simulations" if method == "interpolated" else "errors computed, not simulated"
    assert told in run.summary()
    results = run.results()
    assert not results["sim_cost"].any()
    assert size - 5e-7 <= run.bound <= size + 0.002
    assert results["tie_estimate"].max() == pytest.approx(size, abs=2e-4)
    points = run.table("vertices") if method == "interpolated" else results
    exact = binomial_error(fisher_table(n) < 0.05, points[["theta0", "theta1"]].to_numpy())
    np.testing.assert_allclose(points["tie_estimate"], exact, rtol=3e-9)
    assert (points["tie_estimate"] >= exact * (1 + 5e-10)).all()  # rounded up


def test_any_seed_and_any_number_of_simulations_give_the_same():
    model = ada.DecisionTable.of(ada.PooledZ((6, 9)))
    how = {"threshold": 1.96, "grid": TILES}
    one = flat.validate(model, **how, n_sims=1).results()
    other = flat.validate(model, **how, n_sims=4096, model_seed=7).results()
    np.testing.assert_array_equal(one["tie_bound"], other["tie_bound"])


@pytest.mark.parametrize("method", GRIDS)
def test_calibrated_fisher_is_boschloo(method):
    """The published interval of thresholds; and SciPy's decision on every outcome."""
    model = ada.DecisionTable.of(ada.FisherExact(10))
    target = {"interpolated": 0.001, "classic": 0.004}[method]
    run = calibrated(model, 0.05, GRIDS[method], method=method, grid_target=target)
    run.verify()
    assert run.converged
    assert 0.084901 < run.threshold <= 0.089448
    table = fisher_table(10)
    assert binomial_size(table < run.threshold) <= 0.05
    for control, treatment in itertools.product(range(11), repeat=2):
        outcome = [[treatment, control], [10 - treatment, 10 - control]]
        exact = boschloo_exact(outcome, alternative="greater").pvalue
        assert (table[control, treatment] < run.threshold) == (exact <= 0.05)


def test_a_design_from_a_file_that_fails(tmp_path):
    """Reject with 6 of 20 or more responders: too many at a rate of 20%, whose exact error is a binomial tail."""
    lines = ["responders0,reject", *(f"{y},{int(y >= 6)}" for y in range(21))]
    (tmp_path / "design.csv").write_text("\n".join(lines))
    model = ada.DecisionTable.from_csv(tmp_path / "design.csv", n=20)
    logit = float(np.log(0.2 / 0.8))
    grid = ada.cartesian_grid([-3], [0], n=1, null_hypos=[f"theta0 <= {logit!r}"])
    run = validated(model, 0.5, grid, max_target=0.002)
    exact = binom.sf(5, 20, 0.2)
    assert exact == pytest.approx(0.195792, abs=1e-6)
    assert run.table("vertices")["tie_estimate"].max() == pytest.approx(exact, rel=1e-8)
    assert exact <= run.bound <= exact + 0.002
    assert run.bound > 0.025


def test_family_wise_error_of_several_hypotheses():
    """Three arms of different sizes, two hypotheses: the error by a plain sum, for every set of true ones."""
    patients, threshold = (3, 2, 4), 0.2
    frame, rng = outcomes(*patients), np.random.default_rng(0)
    frame["statistic0"], frame["statistic1"] = rng.uniform(size=(2, len(frame)))
    frame.loc[3, "statistic1"] = -np.inf
    model = ada.DecisionTable(patients, frame.sample(frac=1, random_state=1), reject_when="small")
    theta = rng.uniform(-2, 2, (5, 3))
    for truth in itertools.product([False, True], repeat=2):
        found = model.exact_error(theta, np.tile(truth, (5, 1)), threshold)
        rejects = ((frame[["statistic0", "statistic1"]] < threshold).to_numpy() & np.array(truth)).any(axis=1)
        for point, error in zip(theta, found, strict=True):
            p = 1 / (1 + np.exp(-point))
            mass = np.prod([binom.pmf(frame[f"responders{i}"], patients[i], p[i]) for i in range(3)], axis=0)
            assert error == pytest.approx(mass[rejects].sum(), rel=3e-9)


def test_extreme_logits():
    """Both tails are exact where response probabilities round to 0 or 1."""
    frame = outcomes(20)
    for rare, sign in ((1, -1), (19, 1)):
        frame["reject"] = (frame["responders0"] == rare).astype(int)
        error = ada.DecisionTable(20, frame).exact_error(np.array([[sign * 50.0]]), np.ones((1, 1), bool), 0.5)
        assert error[0] == pytest.approx(20 * np.exp(-50.0), rel=1e-8)


def test_thresholds_at_which_everything_or_nothing_rejects():
    frame = outcomes(4).assign(statistic=[5.0, 1.0, 2.0, 2.0, np.inf])
    theta, truth = np.zeros((2, 1)), np.ones((2, 1), bool)
    small = ada.DecisionTable(4, frame, reject_when="small")
    np.testing.assert_array_equal(small.exact_threshold(theta, truth, np.array([0.2, 1.0])), [1.0, np.inf])
    large = ada.DecisionTable(4, frame, reject_when="large")
    np.testing.assert_array_equal(large.exact_threshold(theta, truth, np.array([0.0625, 0.5])), [np.inf, 2.0])
    np.testing.assert_allclose(large.exact_error(theta, truth, 2.0), 2 / 16, rtol=2e-9)


def test_missing_outcomes():
    few = outcomes(10)[8:].assign(reject=1)
    errors = [
        ada.DecisionTable(10, few, missing=missing).exact_error(np.zeros((1, 1)), np.ones((1, 1), bool), 0.5)[0]
        for missing in ("reject", "accept")
    ]
    assert errors == pytest.approx([1.0, binom.sf(7, 10, 0.5)], rel=1e-8)
    none = few.rename(columns={"reject": "statistic"}).assign(statistic=0.5)
    for reject_when in ("small", "large"):
        model = ada.DecisionTable(10, none, reject_when=reject_when, missing="reject")
        assert model.exact_error(np.zeros((1, 1)), np.ones((1, 1), bool), 0.5)[0] > 0.9
