"""One answer of every small job, in every way; tests/jobs tries some jobs and ways."""

from __future__ import annotations

import pytest

import tests.support.same_answer as law
from tests.support.jobcases import CASES, CLASSIC, IN_JAX, STAGED, assert_same, run_case, tables


@pytest.mark.parametrize(law.CHOICES, law.WHOLE)
@pytest.mark.parametrize("case", CASES)
def test_stores_packets_and_batches(case, db, packet_size, tile_batch_size, tmp_path):
    law.assert_ways_agree(case, db, packet_size, tile_batch_size, tmp_path)


@pytest.mark.parametrize("case", CLASSIC + STAGED)
def test_packets_and_batches_of_designs_in_jax(case):
    model = IN_JAX[case.rpartition("_")[2]]
    answer = tables(run_case(case, model))
    for packet_size in law.PACKETS:
        for tile_batch_size in law.BATCHES:
            assert_same(run_case(case, model, packet_size=packet_size, tile_batch_size=tile_batch_size), answer)


@pytest.mark.parametrize("case", CASES)
class TestSteps(law.StepLaws):
    """The laws of steps."""


@pytest.mark.parametrize("case", [*STAGED, "staged_validate_mean"])
def test_zones_do_not_matter_where_points_are_dealt(case):
    law.assert_zones_only_deal_points(case)


@pytest.mark.parametrize("operation", range(10, 39))  # until the last step begins
def test_targets_changed_in_mid_step(operation):
    law.assert_targets_can_be_changed(operation)


@pytest.mark.parametrize("case", CLASSIC)
class TestCertify:
    def test_certified_the_same_however_it_is_done(self, case, tmp_path):
        law.assert_certified_the_same(case, tmp_path / "job.duckdb")

    def test_no_search_after_it(self, case):
        law.assert_no_search_after_certifying(case)

    def test_fresh_simulations_on_the_same_tiles(self, case):
        law.assert_certified_with_fresh_simulations(case)
