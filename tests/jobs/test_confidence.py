"""Calibrations with confidence: their ranks, what is said of them, and that they cannot be changed."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

import adagrid as ada
from adagrid.errors import CorruptStoreError, InvalidInputError, ResumeError
from adagrid.estimation import calibration_rank, confident_rank
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayFisher
from tests.support.jobcases import DESIGNS, run_case

CONFIDENCE = 0.95
CASES = ("calibrate_z", "staged_calibrate_z", "calibrate_fisher", "staged_calibrate_fisher")
MODELS = {"z": None, "fisher": ArrayFisher(20)}


@cache
def job(case, confidence=CONFIDENCE):
    run = run_case(case, MODELS[case.rpartition("_")[2]], db=PandasStore(), confidence=confidence)
    run.verify()
    return run


def ranked(run):
    """Return simulated points with ranks, and their levels."""
    if run.record.method.name == "classic":
        rows = run.results()
        return rows, rows["alpha0"]
    rows = run.table("vertices")
    return rows, rows["level"]


@pytest.mark.parametrize("case", CASES)
def test_ranks_are_those_of_the_confidence(case):
    rows, level = ranked(job(case))
    np.testing.assert_array_equal(rows["rank"], confident_rank(rows["n_sims"], level, 1 - CONFIDENCE))
    assert (rows["rank"] < calibration_rank(rows["n_sims"], level)).all()
    assert job(case).settings.calibration.confidence == CONFIDENCE


@pytest.mark.parametrize("case", CASES)
def test_thresholds_are_below_those_of_the_expectation(case):
    """Statistics of the z-test are continuous, those of Fisher's test may tie."""
    confident, expected = (run.record.model.direction * run.threshold for run in (job(case), job(case, None)))
    assert -np.inf < confident
    assert confident < expected if case.endswith("z") else confident <= expected


@pytest.mark.parametrize(("table", "case"), [("results", "calibrate_z"), ("vertices", "staged_calibrate_z")])
def test_verify_finds_a_rank_that_is_one_too_large(table, case):
    run = job(case)
    store = PandasStore()
    store.create(run._store.schema)
    tables = {name: run._store.table(name) for name in store.schema.tables if name != "schema"}
    row = tables[table]["id"] == (run.worst_tile()["id"] if table == "results" else tables[table]["id"].iloc[0])
    tables[table] = tables[table].assign(rank=tables[table]["rank"] + row)
    store.append(tables)
    with pytest.raises(CorruptStoreError, match=str(tables[table]["id"][row].iloc[0])):
        ada.open_job(store).verify()


@pytest.mark.parametrize("case", ["calibrate_z", "staged_calibrate_z"])
def test_costs_are_reported(case):
    run = job(case)
    last = [content["figures"] for content in run.table("reports")["content"] if "std" in content.get("figures", {})][
        -1
    ]
    rows, level = ranked(run)
    if case.startswith("staged"):
        worst = rows["lambda_star"].argmin()
        cost = level[worst] - rows["rank"][worst] / (rows["n_sims"][worst] + 1)
        assert float(last["confidence cost"]) == pytest.approx(cost)
    assert 0 < float(last["confidence cost"]) < 0.05
    assert "to the confidence" in run.summary()
    assert "confidence" not in job(case, None).summary()


class TestWords:
    def level(self, run):
        return next(line for line in run.summary().splitlines() if line.startswith("Level"))

    def test_certified(self):
        said = (
            "with confidence 95% over the simulations, the Type I Error with this threshold is at most this everywhere"
        )
        assert said in self.level(job("staged_calibrate_z"))
        assert "the expected Type I Error is at most this" in self.level(job("staged_calibrate_z", None))

    def test_a_search_says_that_it_has_to_be_certified(self):
        run = run_case("calibrate_z", db=PandasStore(), confidence=0.999)
        assert "with confidence 99.9% over the simulations, once certified" in self.level(run)
        search = run.results().set_index("id").sort_index()
        run.certify().verify()
        assert "once certified" not in self.level(run)
        fresh = run.results().set_index("id").sort_index()
        assert fresh["rank"].tolist() == search["rank"].tolist()
        assert fresh["lambda_star"].tolist() != search["lambda_star"].tolist()

    @pytest.mark.parametrize("method", ["classic", "interpolated"])
    def test_computed_errors_need_none(self, method):
        grid = ada.cartesian_grid([-0.5, -0.5], [0.5, 0.5], n=1, null_hypos=["x1 <= x0"])
        how = {"alpha": 0.1, "grid": grid, "method": method}
        how |= {"grid_target": 0.01} if method == "interpolated" else {"init_sims": 512, "n_steps": 2}
        table = ada.DecisionTable.of(ada.PooledZ(5))
        runs = [flat.ada_calibrate(table, confidence=confidence, **how) for confidence in (None, 0.99)]
        assert runs[0].record.computed
        assert runs[0].threshold == runs[1].threshold
        for run in runs:
            run.verify()
            assert "for certain, the Type I Error with this threshold is at most this everywhere" in self.level(run)
            assert "to the confidence" not in run.summary()


class TestSetting:
    @pytest.mark.parametrize("confidence", [0.5, 1, 0.01, 99, -1, float("nan")])
    @pytest.mark.parametrize("method", ["classic", "interpolated"])
    def test_impossible_ones_are_refused(self, confidence, method):
        with pytest.raises(InvalidInputError, match="confidence must be a confidence between 0.5 and 1, or None; got"):
            flat.ada_calibrate(
                ada.ZTest(), grid=ada.cartesian_grid([-1], [0], n=1), confidence=confidence, method=method
            )

    @pytest.mark.parametrize("case", ["calibrate_z", "staged_calibrate_z"])
    def test_a_job_keeps_its_own(self, case):
        run = job(case)
        model = DESIGNS["z"]
        with pytest.raises(ResumeError, match="overrides may not change 'confidence'"):
            flat.ada_calibrate(model, db=run._store, overrides={"confidence": None})
        with pytest.raises(ResumeError, match=r"started with confidence=0.95, not 0.9"):
            flat.ada_calibrate(model, db=run._store, confidence=0.9)

    def test_a_job_from_before_there_was_one_cannot_get_one(self):
        """It would go on without, silently."""
        run = run_case("calibrate_z", db=PandasStore())
        store = PandasStore()
        store.create(run._store.schema)
        tables = {name: run._store.table(name) for name in store.schema.tables if name != "schema"}
        record = json.loads(tables["config"]["record"].iloc[0])
        del record["settings"]["goal"]["confidence"]
        tables["config"] = tables["config"].assign(record=json.dumps(record))
        store.append(tables)
        ada.open_job(store).verify()
        with pytest.raises(ResumeError, match=r"started with confidence=None, not 0.9"):
            flat.ada_calibrate(DESIGNS["z"], db=store, confidence=0.9)


def test_entry_points_on_fixed_grids():
    """`calibrate` and `bootstrap_calibrate` pass it on; a fixed grid is certified as it is."""
    grid = ada.cartesian_grid([-0.2], [0], n=4)
    run = flat.calibrate(ada.ZTest(), grid=grid, n_sims=2048, db=PandasStore(), confidence=0.9)
    more = flat.bootstrap_calibrate(
        ada.ZTest(), grid=grid, n_sims=2048, n_bootstrap=2, db=PandasStore(), confidence=0.9
    )
    assert run.threshold == more.threshold
    rows, level = ranked(run)
    np.testing.assert_array_equal(rows["rank"], confident_rank(2048, level, 0.1))
    assert "with confidence 90% over the simulations, the Type I Error" in run.summary()
