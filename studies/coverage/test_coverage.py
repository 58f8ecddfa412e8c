"""Certificates of whole jobs, over many model seeds, against exact errors; `make certificates` runs more of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from studies.coverage.laws import broken_by_calibrations, broken_by_validations, exact_errors, misses, noticed_rate
from studies.coverage.problems import FISHER, PROBLEMS, THREE_ARMS, Z_TEST
from studies.coverage.runs import (
    Faults,
    Workers,
    calibrations,
    containing,
    validation_job,
    validations,
)
from tests.support.oracles import pooled_z_table

ALPHA = 0.025
FIRST_SEED = 10_000


def seeds(runs):
    return range(FIRST_SEED, FIRST_SEED + runs)


@pytest.fixture(scope="module")
def workers():
    with Workers() as pool:
        yield pool


@pytest.mark.sample
class TestHarness:
    def test_truth_of_three_arms(self):
        """Against the plain triple sum."""
        theta, reject = np.array([0.3, 0.1, 0.2]), pooled_z_table(35) > 2.2
        control, one, two = (binom.pmf(np.arange(36), 35, 1 / (1 + np.exp(-logit))) for logit in theta)
        for truth, rejects in (
            ([True, True], reject[:, :, None] | reject[:, None, :]),
            ([True, False], reject[:, :, None] & np.ones((1, 1, 36), bool)),
            ([False, True], reject[:, None, :] & np.ones((1, 36, 1), bool)),
        ):
            expected = np.einsum("c,a,b,cab->", control, one, two, rejects.astype(float))
            actual = THREE_ARMS.error(theta[None], np.array([truth]), 2.2)[0]
            np.testing.assert_allclose(actual, expected, rtol=1e-12)

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
    def test_the_first_value_is_the_worst_of_the_region(self, problem):
        tiles = problem.grid.tiles
        low, high = (tiles.theta - tiles.radius).min(axis=0), (tiles.theta + tiles.radius).max(axis=0)
        theta = np.random.default_rng(0).uniform(low, high, (500, problem.grid.dim))
        diagonal = np.linspace(low, high, 201)
        theta = np.concatenate([theta, diagonal])
        truth = np.stack([plane.dist(theta) >= -1e-12 for plane in problem.grid.hypotheses], axis=1)
        errors = np.where(truth.any(axis=1), problem.error(theta, truth, problem.threshold), 0.0)
        assert errors.max() <= problem.truth(problem.judged[0]) + 1e-6

    def test_which_cells_contain_a_value(self):
        """Weights of the vertices of every cell add up to a value where, and only where, they may."""
        run = validation_job(FISHER, "interpolated", 0.2, FIRST_SEED)
        cells, points = run.results(), run.table("vertices").set_index("id")
        for row in range(0, len(cells), 5):
            corners = [points.loc[cells[f"point{i}"].iloc[row], ["theta0", "theta1"]].to_numpy(float) for i in range(3)]
            middle = np.mean(corners, axis=0)
            assert np.flatnonzero(containing(run, middle)).tolist() == [row]
            for corner in corners:
                assert containing(run, corner)[row]
            assert not containing(run, middle + 1.01 * (corners[0] - middle))[row]
        assert not containing(run, np.array([-0.5, 0.5])).any(), "no null hypothesis is true there"

    def test_power(self):
        """Miss rates that the tests below notice with 95% probability."""
        assert noticed_rate(60, 0.2) < 0.55
        assert noticed_rate(80, 0.01) < 0.15
        assert np.isnan(noticed_rate(2, 0.2))


class TestValidation:
    @pytest.mark.parametrize(
        ("problem", "method", "delta", "runs"),
        [
            pytest.param(Z_TEST, "interpolated", 0.2, 60, marks=pytest.mark.sample),
            (Z_TEST, "interpolated", 0.01, 80),
            (Z_TEST, "classic", 0.2, 40),
            (FISHER, "interpolated", 0.2, 50),
            (FISHER, "interpolated", 0.01, 20),
            (THREE_ARMS, "interpolated", 0.2, 12),
        ],
        ids=lambda value: getattr(value, "name", str(value)),
    )
    def test_bounds_are_below_the_truth_in_at_most_delta_of_runs(self, workers, problem, method, delta, runs):
        found = workers.run(validations, problem.name, method, delta, seeds=seeds(runs))
        assert len(found) == runs
        assert broken_by_validations(problem, delta, found) == []
        if delta == 0.2:
            assert sum(one.first.failed for one in found), "limits that never fail at this delta test nothing"

    def test_limits_at_20_times_delta_are_noticed(self, workers):
        faults = Faults(delta_factor=20)
        found = workers.run(validations, Z_TEST.name, "interpolated", 0.01, seeds=seeds(80), faults=faults)
        assert "limits at simulated points, first" in " ".join(broken_by_validations(Z_TEST, 0.01, found))
        assert not misses(Z_TEST, 0.01, found)[0].holds

    @pytest.mark.sample
    def test_estimates_in_place_of_limits_are_noticed(self, workers):
        faults = Faults(estimates=True)
        found = workers.run(validations, Z_TEST.name, "interpolated", 0.01, seeds=seeds(20), faults=faults)
        broken = " ".join(broken_by_validations(Z_TEST, 0.01, found))
        assert "misses at worst" in broken
        assert "limits at simulated points, first" in broken

    def test_repairs_that_simulate_nothing_new_are_noticed(self, workers):
        """Cells are repaired because their counts were high: the same simulations again are biased."""
        faults = Faults(repeats=True)
        found = workers.run(validations, FISHER.name, "interpolated", 0.01, seeds=seeds(110), faults=faults)
        assert "surplus of rejections, repairs" in " ".join(broken_by_validations(FISHER, 0.01, found))

    @pytest.mark.parametrize("wrong", [0.5, 1.5])
    def test_wrong_surrogates_cost_simulations_not_validity(self, workers, wrong):
        faults = Faults(surrogate_factor=wrong)
        found = workers.run(validations, Z_TEST.name, "interpolated", 0.2, seeds=seeds(40), faults=faults)
        assert broken_by_validations(Z_TEST, 0.2, found) == []


class TestCalibration:
    @pytest.mark.parametrize(
        ("problem", "method", "runs", "short"),
        [
            pytest.param(Z_TEST, "interpolated", 40, 0.0, marks=pytest.mark.sample),
            (Z_TEST, "classic", 40, 0.0),
            # few values of the statistic: the attainable errors are up to .005 apart
            (FISHER, "interpolated", 50, 0.005),
        ],
        ids=lambda value: getattr(value, "name", str(value)),
    )
    def test_mean_exact_error_is_at_most_alpha_and_near_it(self, workers, problem, method, runs, short):
        found = workers.run(calibrations, problem.name, method, ALPHA, None, seeds=seeds(runs))
        assert len(found) == runs
        assert broken_by_calibrations(problem, ALPHA, found) == []
        means = exact_errors(problem, found)
        most = max(means.values(), key=lambda mean: mean.mean)
        targets = problem.calibration["grid_target"] + problem.calibration["bias_target"]
        assert most.mean >= ALPHA - targets - short - 3 * most.error

    @pytest.mark.sample
    def test_ranks_that_are_too_high_are_noticed(self, workers):
        faults = Faults(rank_factor=1.15)
        found = workers.run(calibrations, Z_TEST.name, "interpolated", ALPHA, None, seeds=seeds(20), faults=faults)
        assert broken_by_calibrations(Z_TEST, ALPHA, found)

    @pytest.mark.parametrize("wrong", [0.5, 1.5])
    def test_wrong_surrogates_cost_simulations_not_validity(self, workers, wrong):
        faults = Faults(surrogate_factor=wrong)
        found = workers.run(calibrations, Z_TEST.name, "interpolated", ALPHA, None, seeds=seeds(40), faults=faults)
        assert broken_by_calibrations(Z_TEST, ALPHA, found) == []


class TestConfidence:
    CONFIDENCE = 0.9

    @pytest.mark.parametrize(
        ("problem", "method", "runs"),
        [
            pytest.param(Z_TEST, "interpolated", 40, marks=pytest.mark.sample),
            (Z_TEST, "classic", 40),
            (FISHER, "interpolated", 40),
            (THREE_ARMS, "interpolated", 12),
        ],
        ids=lambda value: getattr(value, "name", str(value)),
    )
    def test_the_largest_error_exceeds_alpha_in_few_runs(self, workers, problem, method, runs):
        found = workers.run(calibrations, problem.name, method, ALPHA, self.CONFIDENCE, seeds=seeds(runs))
        assert len(found) == runs
        assert broken_by_calibrations(problem, ALPHA, found, self.CONFIDENCE) == []
        assert np.mean([one.largest for one in found]) > ALPHA / 2

    @pytest.mark.sample
    def test_ranks_that_are_too_high_are_noticed(self, workers):
        faults = Faults(rank_factor=1.25)
        found = workers.run(
            calibrations, Z_TEST.name, "interpolated", ALPHA, self.CONFIDENCE, seeds=seeds(30), faults=faults
        )
        assert "largest exact error above alpha" in broken_by_calibrations(Z_TEST, ALPHA, found, self.CONFIDENCE)[0]
