"""A family that simulations contradict ends the job: no bound, and words that say where and how."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import bdtr, bdtri, expit, ndtri

import adagrid as ada
from adagrid.errors import CorruptStoreError, InvalidInputError, ModelError, ResumeError
from adagrid.refutation import Lines
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.array_designs import ArrayZ
from tests.support.interrupting import Stop, interrupting, recording
from tests.support.jobcases import assert_same, run_case, tables


class Count(ada.ArrayModel):
    """The number of responders among some patients, of whom the design declares another number."""

    reject_when = "large"

    def __init__(self, declared: int, drawn: int) -> None:
        self.family, self._drawn = ada.Binomial(declared), drawn

    def simulate(self, begin, end, theta, null_truth):
        """Return counts by the inverse of their distribution function."""
        tail = bdtr(np.arange(self._drawn), self._drawn, expit(theta))
        return np.stack([np.searchsorted(own, self.uniforms(begin, end, 1)[:, 0]) for own in tail]) * 1.0


class AddsTheta(ArrayZ):
    """Adds the parameter to its statistic."""

    def simulate(self, begin, end, theta, null_truth):
        """Return z and the parameter."""
        return super().simulate(begin, end, theta, null_truth) + theta


class WideZ(ArrayZ):
    """Declares observations that scatter twice as much as they do."""

    family = ada.Normal(sd=2.0)


GRID = ada.cartesian_grid([-2], [1], n=1)
WRONG = {
    "n": (Count(3, 200), {"threshold": 60.0}),
    "sd": (WideZ(), {"threshold": 1.96}),
    "theta": (AddsTheta(), {"threshold": 1.96}),
    "power": (Count(3, 200), {"threshold": 60.0, "quantity": "power"}),
}


@pytest.mark.parametrize("method", ["classic", "interpolated"])
@pytest.mark.parametrize("name", WRONG)
def test_refuted(name, method):
    design, asked = WRONG[name]
    grid = ada.cartesian_grid([-4], [3], n=1) if name != "n" else GRID
    run = flat.ada_validate(design, grid=grid, method=method, **asked)
    assert run.status is ada.Status.REFUTED
    assert run.bound == (0 if "quantity" in asked else 1)
    assert not run.covered
    assert not run.converged
    assert not len(run.table("coordinations"))  # nothing was planned
    words = run.summary()
    assert "Bound       none" in words
    assert "Guarantee   none" in words
    assert repr(design.family) in words
    assert "Likely causes" in words
    run.verify()


def test_a_mean_is_refuted():
    class Range(Count):
        value_range = (0.0, 200.0)

    assert flat.ada_validate(Range(3, 200), grid=GRID, quantity="mean").status is ada.Status.REFUTED


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_a_calibration_is_refuted(method):
    run = flat.ada_calibrate(Count(3, 200), grid=GRID, method=method)
    assert run.status is ada.Status.REFUTED
    assert run.threshold == np.inf  # rejects never
    assert "Threshold   none" in run.summary()


def test_computed_errors_do_not_excuse_a_family():
    class Computed(Count):
        def exact_error(self, theta, null_truth, threshold):
            return 1 - bdtr(threshold, self._drawn, expit(theta[:, 0]))

        def exact_threshold(self, theta, null_truth, level):
            return np.ceil(200 - bdtri(np.zeros(len(theta)), 200, level))

    run = flat.ada_validate(Computed(3, 200), threshold=60.0, grid=GRID, method="interpolated")
    assert run.status is ada.Status.REFUTED


def test_counts_of_three_patients_are_not_refuted():
    # the inequality is an equality here: a rounding or an order that is wrong would show first
    for seed in range(3):
        run = flat.validate(Count(3, 3), threshold=2.5, grid=GRID, n_sims=64, model_seed=seed)
        assert run.evidence is not None
        assert np.exp(run.evidence.log_value) < 100


def test_every_configuration_has_lines():
    grid = ada.cartesian_grid([-1], [1], n=1, null_hypos=["x <= 0", "x <= 0.5"])
    lines = flat.validate(ArrayZ(), threshold=1.96, grid=grid, n_sims=64).table("lines")
    assert len(lines[["null_truth0", "null_truth1"]].drop_duplicates()) == 2


def test_told_what_was_found():
    run = run_case("validate_z")
    assert f"Family      {ArrayZ.family}, not refuted: 8 lines, 16,384 simulations, e = " in run.summary()
    run = run_case("validate_z", family_lines=3, family_sims=128)
    assert "3 lines, 5,248 simulations" in run.summary()


class TestTrust:
    def test_in_words_that_are_repeated(self):
        reason = "The data are simulated by the sponsor's validated program."
        run = flat.ada_validate(Count(3, 200), threshold=60.0, grid=GRID, trust_family=reason, n_steps=1)
        assert run.status is not ada.Status.REFUTED
        assert not len(run.table("lines"))
        assert run.evidence is None
        assert reason in run.summary()

    @pytest.mark.parametrize("reason", ["", "yes", True, "x" * 201])
    def test_only_in_words(self, reason):
        with pytest.raises(InvalidInputError, match="trust_family must be a reason of 10 to 200 letters"):
            flat.ada_validate(Count(3, 200), threshold=60.0, grid=GRID, trust_family=reason)

    def test_numbers_have_rules(self):
        with pytest.raises(InvalidInputError, match=r"family_lines must be .* from 1 to 1,000.*\n.*family_sims"):
            flat.ada_validate(ArrayZ(), threshold=1.96, grid=GRID, family_lines=0, family_sims=100)

    def test_not_changed_by_a_job_that_goes_on(self):
        store = PandasStore()
        flat.ada_validate(Count(3, 200), threshold=60.0, grid=GRID, db=store)
        with pytest.raises(ResumeError, match="overrides may not change 'trust_family'"):
            flat.ada_validate(Count(3, 200), db=store, overrides={"trust_family": "because I say so"})


class TestResumed:
    def test_a_refuted_job_stays_refuted(self):
        store = PandasStore()
        first = flat.ada_validate(Count(3, 200), threshold=60.0, grid=GRID, db=store)
        with recording(store) as writes:
            again = flat.ada_validate(Count(3, 200), db=store)
        assert again.status is ada.Status.REFUTED
        assert not any("lines" in names for names in writes)  # nothing is simulated again
        assert ada.open_job(store).status is ada.Status.REFUTED
        assert_same(again, tables(first))

    @pytest.mark.parametrize("case", ["validate_z", "staged_validate_z"])
    def test_stopped_around_the_test(self, case):
        whole = PandasStore()
        with recording(whole) as writes:
            run = run_case(case, db=whole)
        number = next(i for i, names in enumerate(writes, 1) if "lines" in names)
        for operation in (2 * number, 2 * number + 1):
            store = PandasStore()
            with interrupting(store, operation), pytest.raises(Stop):
                run_case(case, db=store)
            assert_same(run_case(case, db=store), tables(run))

    def test_doubtful_evidence_is_decided_with_more_simulations(self, monkeypatch):
        # as if all evidence were in doubt until 1,024 simulations
        monkeypatch.setattr("adagrid.refutation.evidence.DOUBTED", -np.inf)
        monkeypatch.setattr("adagrid.refutation.evidence._MOST_SIMS", 512)
        whole = run_case("validate_z", family_sims=128)
        assert sorted(whole.table("lines")["n_sims"].unique()) == [128, 256, 512]
        store = PandasStore()
        with interrupting(store, 7), pytest.raises(Stop):
            run_case("validate_z", family_sims=128, db=store)
        assert_same(run_case("validate_z", family_sims=128, db=store), tables(whole))


@pytest.mark.parametrize(
    ("table", "column"),
    [*(("lines", column) for column in ("share0", "allowed", "log_wealth")), ("spots", "allowed")],
)
def test_verify_computes_tests_again(table, column):
    store = PandasStore()
    run_case("staged_validate_z", db=store)
    frame = store._tables[table]
    store._tables[table] = frame.assign(**{column: np.where(frame["position"] == 2, np.inf, frame[column])})
    with pytest.raises(CorruptStoreError, match=str(frame["id"][2])):
        ada.open_job(store).verify()


def test_a_direction_that_was_forgotten_is_told_early(capsys):
    class Forgotten(ArrayZ):
        reject_when = "small"

    run = flat.validate(Forgotten(), threshold=1.96, grid=ada.cartesian_grid([-1], [0], n=1), n_sims=64)
    assert "trials across the region reject. Is reject_when='small' right" in " ".join(capsys.readouterr().err.split())
    assert run.table("logs")["message"].str.contains("Is reject_when='small' right").any()


class Seedless(ada.ArrayModel):
    """Decisions of a z-test that ignore the seed."""

    family = ada.Normal()

    def simulate(self, begin, end, theta, null_truth):
        """Return 0 where the test rejects, and 1 where it does not."""
        normal = ndtri(self.seeded(3).uniforms(begin, end, 1)).T
        return np.where(normal + theta > 1.96, 0.0, 1.0)


class OneTrial(ArrayZ):
    """A design that seeds a generator inside every trial."""

    def simulate(self, begin, end, theta, null_truth):
        """Return the same trial for all simulations."""
        return np.random.default_rng(5).standard_normal() + theta + np.zeros(end - begin)


class Constant(ArrayZ):
    """A design that never rejects."""

    def simulate(self, begin, end, theta, null_truth):
        """Return zeros."""
        return np.zeros((len(theta), end - begin))


@pytest.mark.parametrize("method", ["classic", "interpolated"])
@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Seedless(), "for another seed, but self.seed makes no difference"),
        (OneTrial(), "for other simulations, but at each of 24 points all of 64 statistics are equal"),
        (Constant(), "returned -?0.0 nearly always, in 12,288 trials"),
    ],
)
def test_trials_that_are_not_drawn_afresh(design, message, method):
    grid = ada.cartesian_grid([-1], [0], n=1)
    with pytest.raises(ModelError, match=message):
        flat.ada_validate(design, threshold=0.5, grid=grid, method=method)


def test_a_rounded_mean_does_not_hide_that_the_seed_is_ignored():
    class Mean(Seedless):
        value_range = (0.0, 1.0)

    with pytest.raises(ModelError, match="self.seed makes no difference"):
        flat.ada_validate(Mean(), grid=ada.cartesian_grid([-1], [3], n=1), quantity="mean")


class Needle(Count):
    """Rejects in a narrow range of the responders among 200, and declares 20 patients."""

    def simulate(self, begin, end, theta, null_truth):
        """Return 1 where the number of responders is 60 to 63."""
        responders = super().simulate(begin, end, theta, null_truth)
        return ((responders >= 60) & (responders <= 63)) * 1.0


# Tiles whose centres are on both sides of the needle.
STRADDLING = ada.cartesian_grid([-2.4], [0.6], n=4)


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_a_needle_between_certified_points_is_found(method, monkeypatch):
    """As if no line had met it."""
    monkeypatch.setattr("adagrid.refutation.evidence.choose_lines", lambda *_, **__: no_lines(1, 1))
    how = {"init_sims": 4096, "max_sims": 4096, "n_steps": 1} if method == "classic" else {}
    grid = STRADDLING if method == "classic" else ada.cartesian_grid([-2], [1], n=1)
    run = flat.ada_validate(
        Needle(20, 200), threshold=0.5, grid=grid, method=method, max_target=0.02, global_target=0.05, **how
    )
    assert run.status is ada.Status.REFUTED
    assert "contradict the family" in run.summary()
    assert "The family allows at most" in run.summary()
    assert run.bound == 1
    run.verify()


def no_lines(dim, n_nulls):
    return Lines(np.empty((0, dim)), np.empty((0, dim)), np.empty((0, n_nulls), bool))


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_z", "staged_calibrate_z"])
def test_certified_jobs_are_looked_at_once_more(case):
    run = run_case(case)
    if case == "validate_z":
        assert not len(run.table("spots"))  # a search is no certificate
        run.certify()
    assert len(run.table("spots")) >= 8
    assert not run.refuted
    assert "Last look   between certified points" in run.summary()


def test_a_certificate_that_is_refuted(monkeypatch):
    monkeypatch.setattr("adagrid.refutation.evidence.choose_lines", lambda *_, **__: no_lines(1, 1))
    how = {"init_sims": 4096, "max_sims": 8192, "n_steps": 1}
    run = flat.ada_validate(Needle(20, 200), threshold=0.5, grid=STRADDLING, **how)
    assert run.status is not ada.Status.REFUTED
    run.certify()
    assert run.status is ada.Status.REFUTED
    assert not run.covered
