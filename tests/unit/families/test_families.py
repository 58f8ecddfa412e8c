"""Closed forms, high-precision cumulants and refusals of adagrid's own families."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from adagrid.bounds import inverse_tilt_bound, tilt_bound
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial, Normal

# Normal: the optimum over q in closed form.


def normal_bound(level: float, distance: float) -> float:
    """exp(-(sqrt(-2 ln a) - |v|/sd)^2 / 2), and 1 from where the bracket turns negative."""
    room = np.sqrt(-2 * np.log(level)) - distance
    return float(np.exp(-(room**2) / 2)) if room > 0 else 1.0


def normal_inverse(level: float, distance: float) -> float:
    return float(np.exp(-((np.sqrt(-2 * np.log(level)) + distance) ** 2) / 2))


def test_published_values_of_the_normal_bound():
    centre, family = np.zeros((1, 1)), Normal(sd=1.0)
    assert tilt_bound(family, centre, np.array([[[-0.1], [0.1]]]), 0.025)[0] == pytest.approx(0.03263862, abs=5e-9)
    assert inverse_tilt_bound(family, centre, np.array([[[-0.05], [0.05]]]), 0.025)[0] == pytest.approx(
        0.02179794, abs=5e-9
    )


@settings(max_examples=150, deadline=None)
@given(
    level=st.floats(1e-3, 0.999),
    share=st.floats(1e-4, 1.5),
    means=st.lists(st.tuples(st.floats(0.01, 100.0), st.integers(1, 500), st.floats(-3, 3)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_normal_bound_is_the_closed_form(level, share, means, seed):
    sd, n, position = (np.array(column, float) for column in zip(*means, strict=True))
    family = Normal(sd=sd.tolist(), n=n.astype(int).tolist())
    standard_error = sd / np.sqrt(n)
    distance = share * np.sqrt(-2 * np.log(level))
    direction = np.random.default_rng(seed).normal(size=len(means))
    direction *= distance / np.linalg.norm(direction)
    assume(abs(share - 1) > 1e-3)
    theta = (position * standard_error)[None]
    vertices = np.stack([direction, -direction])[None] * standard_error

    expected = normal_bound(level, distance)
    bound = tilt_bound(family, theta, vertices, level)[0]
    assert expected * (1 - 1e-9) <= bound <= expected + 1e-6
    expected = normal_inverse(level, distance)
    inverse = inverse_tilt_bound(family, theta, vertices, level)[0]
    assert expected - 1e-6 <= inverse <= expected * (1 + 1e-9)


def test_normal_bound_is_one_beyond_the_last_useful_displacement():
    limit = np.sqrt(-2 * np.log(0.025))
    for distance in (limit * 1.0001, 2 * limit, 100.0):
        assert tilt_bound(Normal(), np.zeros((1, 1)), np.array([[[-distance], [distance]]]), 0.025)[0] == 1.0


@pytest.mark.parametrize("distance", [1e4, 1e8, 1e100])
def test_tiles_of_any_size_are_bounded_without_a_warning(distance):
    vertices = np.array([[[-distance], [distance]]])
    for level in (1e-9, 0.5, 1 - 1e-9):
        assert tilt_bound(Normal(), np.zeros((1, 1)), vertices, level)[0] == 1.0
        assert inverse_tilt_bound(Normal(), np.zeros((1, 1)), vertices, level)[0] == 0.0


def test_one_number_serves_all_means():
    assert Normal(sd=2.0, n=(4, 16)).standard_errors.tolist() == [1.0, 0.5]
    assert Normal(sd=(2.0, 4.0), n=4).standard_errors.tolist() == [1.0, 2.0]
    assert Normal(sd=(2.0, 4.0), n=(4, 16)) == Normal(sd=np.array([2.0, 4.0]), n=np.array([4, 16]))


# Binomial: cumulants against decimal arithmetic.


def exact_cumulant(n: int, theta: float, displacement: float) -> Decimal:
    """n ln((1 + exp(theta + v)) / (1 + exp(theta))), with 50 digits left after all cancellation."""
    with localcontext() as context:
        context.prec = 100 + max(0, -Decimal(displacement or 1).adjusted())
        there = (Decimal(theta) + Decimal(displacement)).exp()
        return n * ((1 + there) / (1 + Decimal(theta).exp())).ln()


def relative_error(value: float, exact: Decimal) -> float:
    return float(abs((Decimal(float(value)) - exact) / exact))


@pytest.mark.parametrize("theta", [-40.0, -7.3, -1e-9, 0.0, 1e-9, 0.4, 9.1, 40.0])
@pytest.mark.parametrize("size", [1e-280, 1e-12, 3e-8, 1e-3, 0.9, 1.0, 1.0000001, 2.5, 39.0, 41.0, 800.0])
def test_binomial_cumulant_keeps_its_digits(theta, size):
    for displacement in (size, -size):
        value = Binomial(50).cumulant(np.array([theta]), np.array([displacement]))
        assert relative_error(value, exact_cumulant(50, theta, displacement)) < 1e-13


@settings(max_examples=200, deadline=None)
@given(theta=st.floats(-40, 40), displacement=st.floats(-800, 800), n=st.integers(1, 10_000))
@example(theta=40.0, displacement=-80.0, n=1)
@example(theta=-5e-324, displacement=5e-324, n=1)
def test_binomial_cumulant_keeps_its_digits_anywhere(theta, displacement, n):
    assume(displacement == 0 or abs(displacement) > 1e-280)
    value = Binomial(n).cumulant(np.array([theta]), np.array([displacement]))
    if displacement == 0:
        assert value == 0
    else:
        assert relative_error(value, exact_cumulant(n, theta, displacement)) < 1e-13


@settings(max_examples=50, deadline=None)
@given(arms=st.lists(st.tuples(st.integers(1, 1000), st.floats(-40, 40), st.floats(-800, 800)), min_size=2, max_size=4))
def test_binomial_arms_add_up(arms):
    n, theta, displacement = zip(*arms, strict=True)
    value = Binomial(n).cumulant(np.array(theta), np.array(displacement))
    parts = [Binomial(k).cumulant(np.array([t]), np.array([v])) for k, t, v in arms]
    np.testing.assert_allclose(value, sum(parts), rtol=1e-13, atol=1e-13 * np.abs(parts).sum())


@pytest.mark.parametrize("theta", [-800.0, 800.0])
def test_binomial_log_partition_does_not_overflow(theta):
    assert Binomial((3, 4)).log_partition(np.array([theta, theta])) == 7 * max(theta, 0.0)


def test_one_arm_may_be_given_as_a_number():
    assert Binomial(20) == Binomial((20,)) == Binomial(np.array([20]))
    assert Binomial(20).dim == 1
    assert Binomial((20, 30)).patients == (20, 30)


# Refusals.


@pytest.mark.parametrize("n", [0, -3, 2.5, (10, 0), (10, -1), (10, 2.5), (), ((1, 2),), "7", None, True, float("nan")])
def test_binomial_refuses_numbers_of_patients(n):
    with pytest.raises(InvalidInputError) as refusal:
        Binomial(n)
    assert str(n) in str(refusal.value)


def test_binomial_refuses_ragged_numbers_of_patients():
    with pytest.raises(InvalidInputError, match=r"\[\[1\], \[2, 3\]\]"):
        Binomial([[1], [2, 3]])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "sd",
    [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0), (1.0, float("nan")), ((1.0, 2.0),), (), None, "wide", 1 + 2j],
)
def test_normal_refuses_standard_deviations(sd):
    with pytest.raises(InvalidInputError) as refusal:
        Normal(sd=sd)
    assert str(sd) in str(refusal.value)


@pytest.mark.parametrize(
    "n", [0, -3, 2.5, 0.5, float("nan"), float("inf"), (10, 0), (10, 2.5), ((1, 2),), (), None, "many", True]
)
def test_normal_refuses_sample_sizes(n):
    with pytest.raises(InvalidInputError) as refusal:
        Normal(sd=1.0, n=n)
    assert str(n) in str(refusal.value)


def test_normal_refuses_lengths_that_do_not_match():
    with pytest.raises(InvalidInputError) as refusal:
        Normal(sd=(1.0, 2.0), n=(5, 6, 7))
    assert "(1.0, 2.0)" in str(refusal.value)
    assert "(5, 6, 7)" in str(refusal.value)
