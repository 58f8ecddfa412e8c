"""Nothing but the settings changes the answer: not the store, not packets, batches, or interruptions."""

from __future__ import annotations

import pandas as pd
import pytest

import adagrid as ada
from adagrid.stores.pandas import PandasStore
from tests.support.interrupting import (
    Stop,
    assert_stopped_certificates_complete,
    assert_stopped_jobs_complete,
    by_turns,
    interrupting,
)
from tests.support.jobcases import CASES, CLASSIC, assert_same, run_case, tables


@pytest.fixture(scope="module")
def expected():
    return {case: tables(run_case(case)) for case in CASES}


@pytest.mark.parametrize("case", CASES)
class TestSameAnswer:
    def test_the_job_does_something(self, case, expected):
        assert expected[case]["steps"]["n_tiles"].gt(0).sum() >= 4
        if case.startswith("staged"):
            assert len(expected[case]["results"]) >= 2
            return
        done = expected[case]["done"]
        assert done["refine"].gt(0).any()
        assert done["deepen"].gt(0).any()

    def test_every_store(self, case, expected, tmp_path):
        assert_same(run_case(case, db="pandas"), expected[case])
        assert_same(run_case(case, db=tmp_path / "job.duckdb"), expected[case])

    @pytest.mark.parametrize("packet_size", [1, 7])
    def test_packet_size(self, case, packet_size, expected):
        assert_same(run_case(case, packet_size=packet_size), expected[case])

    @pytest.mark.parametrize("tile_batch_size", [1, 3])
    def test_tile_batch_size(self, case, tile_batch_size, expected):
        assert_same(run_case(case, tile_batch_size=tile_batch_size), expected[case])

    def test_one_step_at_a_time(self, case, expected):
        store = PandasStore()
        with pytest.raises(ada.errors.InvalidInputError, match="n_steps"):
            run_case(case, db=store, n_steps=0)
        run_case(case, db=store, n_steps=1)
        for n_steps in range(2, 8):
            run = run_case(case, db=store, n_steps=1, overrides={"n_steps": n_steps})
            run.verify()
        run = run_case(case, db=store, n_steps=1, overrides={"n_steps": 8})
        assert_same(run, expected[case])
        assert len(run.config()) == 8
        assert run.status is run_case(case).status

    def test_verified_at_every_moment(self, case):
        store = PandasStore()
        run_case(case, db=store, callback=lambda _: store.verify())

    @pytest.mark.parametrize("n_zones", [3])
    def test_zones(self, case, n_zones):
        backend = ada.LocalBackend(n_zones=n_zones, coordinate_every=2)
        run = run_case(case, backend=backend)
        run.verify()
        assert run.coordinations()["n_zones"].unique().tolist() == [n_zones]
        again = run_case(case, backend=backend, db="pandas", packet_size=2)
        assert_same(again, tables(run))

    def test_zones_do_not_matter_where_points_are_dealt(self, case, expected):
        if not case.startswith("staged"):
            pytest.skip("zones of a classic job choose their own tiles")
        run = run_case(case, backend=ada.LocalBackend(n_zones=3))
        for name, frame in tables(run).items():
            other = expected[case][name]
            drop = [column for column in ("zone_id", "n_zones") if column in frame]
            if name in ("steps", "coordinations"):
                continue
            order = ["step_id", "id"]
            if name == "tiles":  # the grid's tiles are numbered within their zones
                drop.append("position")
            pd.testing.assert_frame_equal(
                frame.drop(columns=drop).sort_values(order, ignore_index=True),
                other.drop(columns=drop).sort_values(order, ignore_index=True),
            )


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_z", "staged_calibrate_z"])
def test_stopped_at_every_write(case):
    """Exhaustive: whichever write is the last, running again gives the same tables."""
    assert_stopped_jobs_complete(case, by_turns())


def test_targets_changed_in_mid_step(expected):
    """A step that was begun is finished with the settings it was begun with; then the new ones hold."""
    case = "validate_fisher"
    for operation in range(10, 40, 3):
        store = PandasStore()
        restore = interrupting(store, operation)
        with pytest.raises(Stop):
            run_case(case, db=store, packet_size=5)
        restore()
        run = run_case(case, db=store, packet_size=5, overrides={"max_target": 0.5, "global_target": 0.5})
        run.verify()
        assert run.status is ada.Status.CONVERGED
        after = run.steps()
        continued = run_case(case, db=store, packet_size=5, overrides={"max_target": 0.004, "global_target": 0.008})
        continued.verify()
        assert len(after) < len(continued.steps())
        assert_same(continued, expected[case])


@pytest.mark.parametrize("case", CLASSIC)
class TestCertify:
    def test_certified_the_same_however_it_is_done(self, case, tmp_path):
        """Any packets, stores, zones and interruptions give the same certificate on the grid that was searched."""
        answer = run_case(case, n_steps=3).certify()
        answer.verify()
        assert answer.guarantee == "certified"
        expected = tables(answer)
        assert_same(run_case(case, n_steps=3, packet_size=3, db="pandas").certify(), expected)
        path = tmp_path / "job.duckdb"
        with run_case(case, n_steps=3, db=path) as run:
            assert run.guarantee == "search only"
            assert_same(run.certify(), expected)
        with ada.open_job(path) as run:
            assert_same(run, expected)
            assert run.certify() is run

    def test_stopped_at_every_write(self, case):
        assert_stopped_certificates_complete(case, by_turns())

    def test_no_search_after_it(self, case):
        """The grid is frozen, and a certificate is accepted whatever it shows."""
        store = PandasStore()
        run = run_case(case, n_steps=2, db=store).certify()
        bound, threshold = run.bound, run.threshold
        with pytest.raises(ada.errors.ResumeError, match="n_steps"):
            run_case(case, n_steps=2, db=store, overrides={"n_steps": 5})
        again = run_case(case, n_steps=2, db=store)
        assert (again.bound, again.threshold, again.guarantee) == (bound, threshold, "certified")
        assert len(again.tiles()) == len(run.tiles())

    def test_fresh_simulations_on_the_same_tiles(self, case):
        run = run_case(case, n_steps=3)
        searched = run.results()
        certified = run.certify().results()
        tile = [name for name in searched if name.startswith(("id", "theta", "radius", "null_truth", "n_sims"))]
        by_id = lambda frame: frame[tile].sort_values("id", ignore_index=True)
        pd.testing.assert_frame_equal(by_id(certified), by_id(searched))
        found = "rejections" if case.startswith("validate") else "lambda_star"
        assert (
            not certified.sort_values("id")[found]
            .reset_index(drop=True)
            .equals(searched.sort_values("id")[found].reset_index(drop=True))
        )
