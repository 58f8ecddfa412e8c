"""Nothing but the settings changes the answer: not the store, not packets, batches, or interruptions.

Of every law some jobs; studies/determinism and studies/reliability have the others.
"""

from __future__ import annotations

import pytest

import tests.support.same_answer as law
from adagrid.testing import PandasStore
from tests.support.interrupting import (
    assert_stopped_certificates_complete,
    assert_stopped_jobs_complete,
    one_of_each_kind,
)
from tests.support.jobcases import CASES, IN_JAX, assert_same, expected, run_case, tables

# Of every kind of job one, with repairs where there are any.
SOME = ("validate_z", "calibrate_fisher", "staged_validate_fisher")


@pytest.mark.parametrize("case", CASES)
def test_the_job_does_something(case):
    answer = expected(case)
    assert answer["steps"]["n_tiles"].gt(0).sum() >= 4
    if case.startswith("staged"):
        assert len(answer["results"]) >= 2
        passes = answer["coordinations"]["kind"].eq("pass").sum()
        assert passes >= 2 if case == "staged_validate_fisher" else passes == 1
        return
    assert answer["done"]["refine"].gt(0).any()
    assert answer["done"]["deepen"].gt(0).any()


# Two ways for every job; every two choices meet in some jobs.
@pytest.mark.parametrize(
    ("case", *law.CHOICES), [(case, *law.MEETING[(2 * i + j) % 9]) for i, case in enumerate(CASES) for j in range(2)]
)
def test_stores_packets_and_batches(case, db, packet_size, tile_batch_size, tmp_path):
    law.assert_ways_agree(case, db, packet_size, tile_batch_size, tmp_path)


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_fisher"])
def test_packets_and_batches_of_a_design_in_jax(case):
    """What is compiled has a shape of its own for every choice."""
    model = IN_JAX[case.rpartition("_")[2]]
    answer = tables(run_case(case, model, db=PandasStore()))
    assert_same(run_case(case, model, db=PandasStore(), packet_size=1, tile_batch_size=3), answer)


@pytest.mark.parametrize("case", SOME)
class TestSteps(law.StepLaws):
    """The laws of steps."""


@pytest.mark.parametrize("case", ["staged_validate_fisher", "staged_calibrate_z"])
def test_zones_do_not_matter_where_points_are_dealt(case):
    law.assert_zones_only_deal_points(case)


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_fisher"])
def test_stopped_between_any_two_kinds_of_writes(case):
    assert_stopped_jobs_complete(case, one_of_each_kind)


@pytest.mark.parametrize("operation", [13, 22, 31])
def test_targets_changed_in_mid_step(operation):
    law.assert_targets_can_be_changed(operation)


@pytest.mark.parametrize("case", ["validate_fisher", "calibrate_z"])
class TestCertify:
    def test_certified_the_same_however_it_is_done(self, case, tmp_path):
        law.assert_certified_the_same(case, tmp_path / "job.duckdb")

    def test_stopped_between_any_two_kinds_of_writes(self, case):
        assert_stopped_certificates_complete(case, one_of_each_kind)

    def test_no_search_after_it(self, case):
        law.assert_no_search_after_certifying(case)

    def test_fresh_simulations_on_the_same_tiles(self, case):
        law.assert_certified_with_fresh_simulations(case)
