"""Clopper-Pearson limits: against SciPy's binomial distribution, and their exact coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from adagrid.errors import InvalidInputError
from adagrid.estimation import clopper_pearson_lower, clopper_pearson_upper

DELTAS = (1e-4, 0.01, 0.05, 0.3)


@st.composite
def counts(draw: st.DrawFn, largest: int = 100_000) -> tuple[int, int]:
    """Rejections and simulations, small counts and full counts included."""
    total = draw(st.integers(1, largest))
    few = st.integers(0, min(total, 20))
    return draw(st.one_of(st.integers(0, total), few, few.map(lambda k: total - k))), total


def test_published_value():
    assert clopper_pearson_upper(204, 8192, 0.01) == pytest.approx(0.02920472, abs=5e-9)


@settings(max_examples=60, deadline=None)
@given(count=counts(5000), delta=st.sampled_from(DELTAS))
def test_limits_are_those_of_scipy(count, delta):
    rejections, total = count
    upper = binomtest(rejections, total, alternative="less").proportion_ci(1 - delta, method="exact").high
    lower = binomtest(rejections, total, alternative="greater").proportion_ci(1 - delta, method="exact").low
    assert clopper_pearson_upper(rejections, total, delta) == pytest.approx(upper, rel=1e-8)
    assert clopper_pearson_lower(rejections, total, delta) == pytest.approx(lower, rel=1e-8)


@settings(max_examples=150, deadline=None)
@given(count=counts(), delta=st.floats(1e-6, 0.9))
def test_limits_invert_the_binomial_distribution(count, delta):
    """At the limit a count as extreme as the observed one has at most probability delta, just inside it more."""
    rejections, total = count
    if rejections < total:
        upper = clopper_pearson_upper(rejections, total, delta)
        assert binom.cdf(rejections, total, upper * (1 - 1e-10)) >= delta * (1 - 1e-9)
        assert binom.cdf(rejections, total, upper) <= delta * (1 + 1e-9)
    if rejections > 0:
        lower = clopper_pearson_lower(rejections, total, delta)
        assert binom.sf(rejections - 1, total, lower * (1 + 1e-10)) >= delta * (1 - 1e-9)
        assert binom.sf(rejections - 1, total, lower) <= delta * (1 + 1e-9)


@pytest.mark.parametrize(
    ("rejections", "total", "delta"),
    [
        (999, 8928, 0.0022147261479523723),
        (999, 18125, 0.0004345016117535658),
        (999, 33554432, 2.71510603399768e-05),
        (1000, 2**29, 0.001),
        (2**29 - 999, 2**29, 0.001),
        (700_000_000 - 50, 700_000_000, 0.01),
    ],
)
def test_limits_where_the_inverse_beta_function_fails(rejections, total, delta):
    """SciPy's (1.17) is off by anything up to half of the limit here."""
    upper, lower = clopper_pearson_upper(rejections, total, delta), clopper_pearson_lower(rejections, total, delta)
    assert lower < rejections / total < upper
    assert binom.cdf(rejections, total, upper) == pytest.approx(delta, rel=0.01)
    assert binom.sf(rejections - 1, total, lower) == pytest.approx(delta, rel=0.01)
    assert binom.cdf(rejections, total, upper) <= delta * (1 + 1e-6)
    assert binom.sf(rejections - 1, total, lower) <= delta * (1 + 1e-6)


@pytest.mark.parametrize("shape", [999, 1000, 1001])
def test_no_limit_is_far_off(shape):
    rng = np.random.default_rng(0)
    total = np.exp(rng.uniform(np.log(2 * shape), np.log(2**30), 20_000)).astype(int)
    delta = 10 ** rng.uniform(-12, -0.5, 20_000)
    for rejections in (np.full_like(total, shape), total - shape):
        upper, lower = clopper_pearson_upper(rejections, total, delta), clopper_pearson_lower(rejections, total, delta)
        np.testing.assert_allclose(binom.cdf(rejections, total, upper), delta, rtol=0.01)
        np.testing.assert_allclose(binom.sf(rejections - 1, total, lower), delta, rtol=0.01)


@pytest.mark.parametrize("total", [1, 2, 30, 8192, 10**6])
@pytest.mark.parametrize("delta", DELTAS)
def test_full_and_empty_counts_are_exact(total, delta):
    assert clopper_pearson_upper(total, total, delta) == 1.0
    assert clopper_pearson_lower(0, total, delta) == 0.0
    assert clopper_pearson_upper(0, total, delta) == pytest.approx(-np.expm1(np.log(delta) / total), rel=1e-11)
    assert clopper_pearson_lower(total, total, delta) == pytest.approx(delta ** (1 / total), rel=1e-11)


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-15, 3e-16])
@pytest.mark.parametrize("total", [2, 3, 100, 8192])
def test_small_deltas_err_to_the_safe_side(total, delta):
    """No rejection among N: the limit is 1 - delta^(1/N); any rounding makes it larger, and hardly."""
    exact = -np.expm1(np.log(delta) / total)
    limit = clopper_pearson_upper(0, total, delta)
    assert limit >= exact * (1 - 1e-14)
    assert limit <= exact * (1 + 1e-9)


@pytest.mark.parametrize("total", [1, 2, 5, 17, 60, 200])
@pytest.mark.parametrize("delta", [*DELTAS, 1e-8])
def test_coverage_by_enumeration(total, delta):
    """The probability that a limit is on the wrong side of p is at most delta, for every p.

    It is largest just outside the limits themselves: these p are tried, and a grid of others.
    """
    outcomes = np.arange(total + 1)
    upper = clopper_pearson_upper(outcomes, total, delta)
    lower = clopper_pearson_lower(outcomes, total, delta)
    beside = np.concatenate([np.nextafter(upper, 1.0), np.nextafter(lower, 0.0)])
    truths = np.concatenate([beside, np.linspace(0, 1, 101), np.geomspace(1e-6, 0.5, 20)])
    for truth in truths:
        pmf = binom.pmf(outcomes, total, truth)
        assert pmf[upper < truth].sum() <= delta * (1 + 1e-9)
        assert pmf[lower > truth].sum() <= delta * (1 + 1e-9)


def test_coverage_is_not_wasted():
    """Just outside a limit the error is delta, not much less: the limits are the tightest of their kind."""
    upper = clopper_pearson_upper(np.arange(40), 40, 0.05)
    for k, truth in enumerate(upper * (1 + 1e-9)):
        assert binom.cdf(k, 40, truth) == pytest.approx(0.05, rel=1e-5)


@settings(max_examples=100, deadline=None)
@given(count=counts(), delta=st.floats(1e-9, 0.9), shrink=st.floats(0.01, 0.99))
def test_limits_are_monotone(count, delta, shrink):
    rejections, total = count
    upper, lower = clopper_pearson_upper, clopper_pearson_lower
    if rejections < total:
        assert upper(rejections, total, delta) <= upper(rejections + 1, total, delta)
        assert lower(rejections, total, delta) < lower(rejections + 1, total, delta)
    assert upper(rejections, total + 1, delta) <= upper(rejections, total, delta)
    assert lower(rejections, total + 1, delta) <= lower(rejections, total, delta)
    assert upper(rejections, total, delta * shrink) >= upper(rejections, total, delta)
    assert lower(rejections, total, delta * shrink) <= lower(rejections, total, delta)


@settings(max_examples=100, deadline=None)
@given(count=counts(), delta=st.floats(1e-6, 0.4))
def test_limits_enclose_the_estimate_and_mirror_each_other(count, delta):
    rejections, total = count
    upper, lower = clopper_pearson_upper(rejections, total, delta), clopper_pearson_lower(rejections, total, delta)
    assert 0 <= lower <= rejections / total <= upper <= 1
    assert 1 - clopper_pearson_lower(total - rejections, total, delta) == pytest.approx(
        float(upper), rel=1e-10, abs=3e-12
    )


def test_arguments_broadcast():
    upper = clopper_pearson_upper(np.arange(3)[:, None], 10, np.array(DELTAS))
    assert upper.shape == (3, len(DELTAS))
    assert upper[2, 1] == clopper_pearson_upper(2, 10, DELTAS[1])


@pytest.mark.parametrize("limit", [clopper_pearson_upper, clopper_pearson_lower])
@pytest.mark.parametrize(
    ("rejections", "total", "received"),
    [(-7, 10, "-7"), (11, 10, "11"), (0, 0, "0"), (0, -5, "-5"), (float("nan"), 10, "nan"), ([3, 44], 10, "44")],
)
def test_impossible_counts_are_refused(limit, rejections, total, received):
    with pytest.raises(InvalidInputError) as refusal:
        limit(rejections, total, 0.05)
    assert received in str(refusal.value).partition("got")[2]


@pytest.mark.parametrize("limit", [clopper_pearson_upper, clopper_pearson_lower])
@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_impossible_deltas_are_refused(limit, delta):
    with pytest.raises(InvalidInputError, match=f"got delta={delta}"):
        limit(3, 10, delta)
