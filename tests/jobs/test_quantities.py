"""Power and means are bounded like errors, and every bound from below as from above."""

from __future__ import annotations

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.errors import InvalidInputError, ModelError, ResumeError
from adagrid.grid.grid import overcounted
from adagrid.settings.quantities import Mean, Power
from adagrid.stores.duckdb import DuckDBStore
from tests.support import flat
from tests.support.jobcases import run_case

N, THRESHOLD, LEAST = 25, 1.96, 0.5


def power(theta):
    """The z-test's, exactly."""
    return norm.sf(THRESHOLD - np.asarray(theta) * N**0.5)


class Share(ada.Model):
    """The share of responders among twelve, whose mean is the response rate."""

    family = ada.Binomial(12)
    value_range = (0.0, 12.0)

    def draw(self, key):
        return jax.random.uniform(key, (12,))

    def statistic(self, draw, theta, null_truth):
        return (draw < expit_of(theta[0])).sum()


class ShareInArrays(ada.ArrayModel):
    """The same in NumPy."""

    family = ada.Binomial(12)
    value_range = (0.0, 12.0)

    def simulate(self, begin, end, theta, null_truth):
        draws = self.uniforms(begin, end, 12)
        return np.stack([(draws < expit(each)).sum(axis=1) for each in theta[:, 0]])


class Outside(Share):
    value_range = (0.0, 11.5)


class OutsideInArrays(ShareInArrays):
    value_range = (0.0, 11.5)


def expit_of(logit):
    return 1 / (1 + jnp.exp(-logit))


def alternative(n=4):
    return ada.cartesian_grid([-0.3], [1.1], n=n, alternatives=[f"theta0 >= {LEAST}"])


def power_run(method, **more):
    return flat.ada_validate(
        ada.ZTest(n=N), threshold=THRESHOLD, grid=alternative(2), quantity="power", method=method, **more
    )


def encloses(run, truth, columns):
    """All over every tile or cell the truth lies within its bounds."""
    results = run.results()
    for share in np.linspace(-1, 1, 9):
        there = truth(results["theta0"] + share * results["radius0"])
        assert (results[columns[0]] <= there).all()
        assert (there <= results[columns[1]]).all()


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_power_of_the_z_test(method):
    """The least power of the region is at its border, and the bound close to it. No tile is where power is less."""
    run = power_run(method, delta=1e-6)  # so that no tile misses
    run.certify()
    run.verify()
    least = power(LEAST)
    assert least - 0.01 <= run.bound <= least
    assert run.bounds[0] == run.bound
    assert run.bounds[1] >= power(1.1)
    encloses(run, power, ("power_lower", "power_upper"))
    results = run.results()
    assert (results["theta0"] - results["radius0"]).min() >= LEAST - 1e-12
    np.testing.assert_allclose(results["power_estimate"], 1 - results["tie_estimate"])
    if method == "classic":
        np.testing.assert_array_equal(
            results["tie_estimate"], (results["n_sims"] - results["rejections"]) / results["n_sims"]
        )
    text = run.summary()
    assert "Alternative theta0 >= 0.5" in text.replace("  ", " ")
    assert re.search(r"power >= (69|70)\.\d{4}% \(confidence 0\.999999 at each parameter value\)", text)
    assert "Type I" not in text


def test_power_is_the_complement_of_the_error():
    """On the same tiles with the same simulations: what is counted is the same, and bounds change places."""
    grid = ada.cartesian_grid([0.5], [1.0], n=4)
    how = {"threshold": THRESHOLD, "grid": grid, "n_sims": 1000}
    error, as_power = (flat.validate(ada.ZTest(n=N), quantity=q, **how) for q in ("error", "power"))
    one, other = error.results(), as_power.results()
    assert (one["rejections"] == other["rejections"]).all()
    np.testing.assert_allclose(other["power_estimate"], one["tie_estimate"])
    np.testing.assert_allclose(1 - other["tie_point_lower"], one["tie_point_bound"])
    np.testing.assert_allclose(1 - other["tie_point_bound"], one["tie_point_lower"], atol=1e-12)
    np.testing.assert_allclose(other["power_upper"], one["tie_bound"], rtol=0.05)  # two bounds of which one takes both
    assert as_power.bounds[0] == pytest.approx(error.bounds[0], rel=1e-6)


@pytest.mark.parametrize("quantity", ["error", "power"])
def test_exact_designs_have_exact_limits(quantity):
    """A decision table's are sums over its outcomes."""
    design = ada.DecisionTable.of(ada.Boschloo(8))
    hypotheses = {"null_hypos": ["theta1 <= theta0"]} if quantity == "error" else {"alternatives": ["theta1 >= theta0"]}
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=3, **hypotheses)
    run = flat.validate(design, threshold=0.05, grid=grid, quantity=quantity)
    run.verify()
    results = run.results()
    theta = results[["theta0", "theta1"]].to_numpy()
    rejecting = design.exact_error(theta, np.ones((len(theta), 1), bool), 0.05)
    event = rejecting if quantity == "error" else 1 - rejecting
    for column in ("tie_point_lower", "tie_estimate", "tie_point_bound"):
        np.testing.assert_allclose(results[column], event, rtol=1e-7)
    assert (results["tie_lower"] <= results["tie_point_lower"]).all()
    generator = np.random.default_rng(1)
    for _ in range(10):
        there = theta + generator.uniform(-1, 1, theta.shape) * results[["radius0", "radius1"]].to_numpy()
        truth = design.exact_error(there, np.ones((len(theta), 1), bool), 0.05)
        truth = truth if quantity == "error" else 1 - truth
        assert (results["tie_lower"] <= truth).all()
        assert (truth <= results["tie_bound"]).all()


def tail(n, needed, **statistic):
    """Return one arm's design that rejects at a number of responders, or whose statistic is that number."""
    responders = np.arange(n + 1)
    columns = {"statistic": responders} if statistic else {"reject": (responders >= needed).astype(int)}
    return ada.DecisionTable(n, pd.DataFrame({"responders0": responders, **columns}), **statistic)


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_errors_that_vanish_in_computing_are_not_zero(method):
    """P(Y >= 200) is about 10^-1000 at one end of the region, which no double can hold, and .999997 at the other."""
    grid = ada.cartesian_grid([-12.0], [0.0], n=1)
    run = flat.ada_validate(
        tail(500, 200), threshold=0.5, grid=grid, method=method, global_target=0.05, max_target=0.02
    )
    run.verify()
    assert run.bounds[0] == 0
    assert run.bounds[1] >= binom.sf(199, 500, 0.5)
    results = run.results()
    ends = [results["theta0"] + sign * results["radius0"] for sign in (-1, 0, 1)]
    for theta in ends:
        truth = binom.sf(199, 500, expit(theta.to_numpy().clip(-12, 0)))
        assert (results["tie_lower"] <= truth).all()
        assert (results["tie_bound"] >= truth).all()


@pytest.mark.parametrize(("lowest", "n"), [(-12.0, 1), (-12.0, 2), (-24.0, 4)])
def test_thresholds_where_levels_vanish(lowest, n):
    """Tiles so large that hardly any level is left at their centres let nothing reject that could be wrong."""
    design = tail(500, None, reject_when="large")
    run = flat.calibrate(design, alpha=0.025, grid=ada.cartesian_grid([lowest], [0.0], n=n))
    assert binom.sf(np.floor(run.threshold), 500, 0.5) <= 0.025


def test_power_that_rounds_to_one_is_not_certain():
    """1 - power is 10^-100 at the lower end, which is lost beside 1; it is .44 at the other."""
    grid = ada.cartesian_grid([-6.0], [0.0], n=1, alternatives=["theta0 >= -6"])
    run = flat.validate(tail(50, 25), threshold=0.5, grid=grid, quantity="power")
    assert run.bounds[1] >= binom.sf(24, 50, 0.5)


@pytest.mark.parametrize("method", ["classic", "interpolated"])
def test_lower_bounds_beside_curved_boundaries(method):
    """Where a curved hypothesis may be false, what counts its rejections overstates the error of the others."""
    first, second = np.indices((21, 21)).reshape(2, -1)
    outcomes = {"responders0": first, "responders1": second}
    design = ada.DecisionTable((20, 20), pd.DataFrame(outcomes | {"reject0": first >= 20, "reject1": second >= 1}) * 1)
    hypotheses = ["theta0 <= 5", ada.RiskDifference(1, 0, -0.1)]
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=4, null_hypos=hypotheses)
    if method == "classic":
        run = flat.validate(design, threshold=0.5, grid=grid)
    else:
        run = flat.ada_validate(design, threshold=0.5, grid=grid, method=method, global_target=0.3, max_target=0.2)
    run.verify()
    results = run.results()
    theta, radius = (results[[f"{name}0", f"{name}1"]].to_numpy() for name in ("theta", "radius"))
    decided = False
    for step in itertools.product((-1, 0, 1), repeat=2):
        there = theta + np.array(step) * radius
        rates = expit(there)
        both = (rates[:, 1] - rates[:, 0] <= -0.1 + 1e-9) & (results["null_truth1"] == 1)
        truth = design.exact_error(there, np.stack([np.ones(len(both), bool), both], axis=1), 0.5)
        if method == "classic":  # the corners of the box around a cell are not part of it
            assert (results["tie_lower"] <= truth).all()
        decided |= bool((results["tie_lower"][both] > 0).any())
    assert decided
    undecided = overcounted(theta, radius, results[["null_truth0", "null_truth1"]].to_numpy(bool), grid.hypotheses)
    assert undecided.any()
    assert (results["tie_lower"][undecided] == 0).all()


@pytest.mark.parametrize("method", ["classic", "interpolated"])
@pytest.mark.parametrize("model", [Share(), ShareInArrays()], ids=["JAX", "NumPy"])
def test_mean_of_a_count(model, method):
    """In the statistic's own units, from below and from above."""
    grid = ada.cartesian_grid([-1], [0.5], n=2)
    how = {"max_target": 0.02, "global_target": 0.03, "delta": 1e-6, "method": method}
    with flat.ada_validate(model, grid=grid, quantity="mean", **how) as run:
        run.verify()
        truth = lambda theta: 12 * expit(theta)
        encloses(run, truth, ("mean_lower", "mean_upper"))
        assert truth(0.5) <= run.bound <= truth(0.5) + 12 * 0.03
        lower, upper = run.bounds
        assert upper == run.bound
        assert truth(-1) - 12 * 0.15 <= lower <= truth(-1)
        assert np.isnan(run.threshold)
        text = run.summary()
        assert "Statistic   between 0.0 and 12.0" in text
        assert "mean of the statistic <=" in text
        assert "Rejects" not in text
        assert run.record.model.name.endswith(type(model).__name__)


def test_limits_of_means_are_closer_than_hoeffdings():
    """For every count, though what is counted is the statistic rounded at random."""
    n, level = 400, 0.01
    counts = np.arange(n + 1)
    limits = Mean(0.0, 1.0).limits(counts, np.full(n + 1, n), level)
    hoeffding = np.sqrt(np.log(1 / level) / (2 * n))
    assert (limits.upper <= np.minimum(1, counts / n + hoeffding) + 1e-5).all()
    assert (limits.lower >= np.maximum(0, counts / n - hoeffding) - 1e-5).all()
    # coverage is exact, since the rounded statistic is binomial whatever its distribution was
    for mean in (0.01, 0.3, 0.5, 0.95):
        chance = binom.pmf(counts, n, mean)
        assert chance[limits.upper < mean].sum() <= level
        assert chance[limits.lower > mean].sum() <= level


@pytest.mark.parametrize("quantity", [Power(), Mean(0.0, 1.0)], ids=["power", "mean"])
def test_misses_are_as_rare_as_promised(quantity):
    """Over many seeds the truth at a point is outside each of its limits with at most the rate delta."""
    model, value_range = (ada.ZTest(n=N), None) if quantity.prefix == "power" else (PValue(), (0.0, 1.0))
    threshold, truth = (-THRESHOLD, power(0.3)) if quantity.prefix == "power" else (0.0, PValue.mean(0.3))
    simulator, delta, runs = Simulator(model, 0, 1, at_most=256, value_range=value_range), 0.05, 500
    where = np.array([[0.3]]), np.ones((1, 1), bool), threshold
    rejections = np.array([simulator.reseeded(seed).count(*where, 0, 256)[0] for seed in range(runs)])
    _, lower, upper = quantity.limits(rejections, np.full(runs, 256), delta)
    least, most = quantity.interval(lower, upper)
    for missed in ((most < truth).sum(), (least > truth).sum()):
        assert missed > 0
        assert binom.sf(missed - 1, runs, delta) > 1e-4


class PValue(ada.ZTest):
    """Its p-value, which is not discrete."""

    value_range = (0.0, 1.0)

    def __init__(self):
        super().__init__(n=N)

    def statistic(self, draw, theta, null_truth):
        return jax.scipy.stats.norm.sf(super().statistic(draw, theta, null_truth))

    @staticmethod
    def mean(theta):
        """P(Z' > Z + theta root n) for two independent ones."""
        return norm.sf(theta * (N / 2) ** 0.5)


@pytest.mark.parametrize("model", [Outside(), OutsideInArrays()], ids=["JAX", "NumPy"])
def test_statistics_outside_their_range(model):
    grid = ada.cartesian_grid([0.0], [3.0], n=2)
    with pytest.raises(ModelError, match=r"value_range=\(0\.0, 11\.5\), but simulation \d+ at theta="):
        flat.validate(model, grid=grid, quantity="mean")


class Narrow(Share):
    value_range = (1e6, 1e6 + 1)


class Unordered(Share):
    value_range = (1.0, 0.0)


NULL = ada.cartesian_grid([-1], [0.5], n=2, null_hypos=["x <= 0"])


@pytest.mark.parametrize(
    ("model", "arguments", "rule"),
    [
        (ada.ZTest(), {"grid": NULL, "quantity": "power", "threshold": 1.0}, r"alternatives=, such as .*null_hypos="),
        (ada.ZTest(), {"grid": alternative(), "threshold": 1.0}, "Ask for quantity='power'"),
        (ada.ZTest(), {"grid": alternative(), "quantity": "power"}, "A new validation needs threshold="),
        (ada.ZTest(), {"grid": alternative(), "quantity": "power", "threshold": 1e-40}, r"nearer to 0.*1e-40\. Use 0"),
        (ada.ZTest(), {"grid": NULL, "quantity": "mean"}, "value_range must be two finite numbers.* got None"),
        (Share(), {"grid": NULL, "quantity": "mean", "threshold": 1.0}, "takes no threshold; got 1"),
        (Unordered(), {"grid": NULL, "quantity": "mean"}, r"got \(1\.0, 0\.0\)"),
        (Narrow(), {"grid": NULL, "quantity": "mean"}, "too narrow for numbers so far from 0.*Subtract"),
        (ada.ZTest(), {"grid": NULL, "quantity": "powr", "threshold": 1.0}, "quantity must be 'error', 'power' or"),
    ],
)
def test_what_does_not_fit(model, arguments, rule):
    with pytest.raises(InvalidInputError, match=rule):
        flat.ada_validate(model, **arguments)


def test_calibrations_are_of_null_hypotheses():
    with pytest.raises(InvalidInputError, match="under which there is no Type I Error"):
        flat.ada_calibrate(ada.ZTest(), grid=alternative())
    with run_case("calibrate_z", n_steps=1) as run, pytest.raises(InvalidInputError, match="are of validations"):
        _ = run.bounds


def test_grids_of_both_kinds():
    with pytest.raises(InvalidInputError, match="Make a grid for each"):
        ada.cartesian_grid([0], [1], null_hypos=["x <= 0"], alternatives=["x >= 0.5"])
    with pytest.raises(InvalidInputError, match="on which an alternative holds"):
        ada.cartesian_grid([0], [1], alternatives=["x >= 2"])
    curved = ada.RiskDifference(1, 0, 0.1)
    with pytest.raises(InvalidInputError, match="Several alternatives must be half-spaces"):
        ada.cartesian_grid([-1, -1], [1, 1], alternatives=[curved, "x1 >= x0"])


def test_another_quantity_is_another_job():
    store = DuckDBStore()
    how = {"threshold": THRESHOLD, "grid": alternative(2), "n_steps": 2}
    flat.ada_validate(ada.ZTest(n=N), quantity="power", db=store, **how)
    with pytest.raises(ResumeError, match="quantity='power', not 'error'"):
        flat.ada_validate(ada.ZTest(n=N), db=store, **how)
    nulls = ada.cartesian_grid([-0.3], [1.1], n=2, null_hypos=[f"theta0 >= {LEAST}"])
    with pytest.raises(ResumeError, match="grid is a different one"):
        flat.ada_validate(ada.ZTest(n=N), quantity="power", db=store, **(how | {"grid": nulls}))
    again = flat.ada_validate(ada.ZTest(n=N), db=store)  # what was asked for is the job's
    assert again.settings.validation.quantity == "power"


def test_power_of_several_hypotheses():
    """Any of two that hold counts: with independent arms against a control, in closed form where only one holds."""
    design = ada.Dunnett(2)
    alternatives = ["theta1 >= theta0 + 1.5", "theta2 >= theta0 + 1.5"]
    grid = ada.cartesian_grid([-0.1, 1.6, -0.6], [0.1, 1.7, -0.4], n=1, alternatives=alternatives)
    assert grid.tiles.null_truth.tolist() == [[True, False]]
    run = flat.validate(design, threshold=1.5, grid=grid, quantity="power", n_sims=20_000)
    centre = run.results().iloc[0]
    exact = norm.sf(1.5 - (centre["theta1"] - centre["theta0"]) / design.family.standard_errors[0] / 2**0.5)
    assert 1 - centre["tie_point_bound"] <= exact <= 1 - centre["tie_point_lower"]
