"""Statistics within rounding of a threshold count on the safe side; exact fractions say which side that is."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adagrid as ada
from adagrid.engine.ties import RejectionLimit, near
from adagrid.testing import PandasStore
from tests.support import flat

TYPES = [np.dtype(np.float32), np.dtype(np.float64)]
# Thresholds that people write, and others.
THRESHOLDS = st.one_of(
    st.sampled_from([0.05, float(np.nextafter(0.05, 1)), 0.2, -0.2, 0.7, 1.96, 9.0, 0.5, 1 / 3, -61.0, 1e-5, 1e6]),
    st.floats(1e-6, 1e6),
    st.floats(-1e6, -1e-6),
)


def neighbours(threshold, dtype):
    """Return the numbers of a type within nine steps of a threshold."""
    below = above = dtype.type(threshold)
    found = [below]
    for _ in range(9):
        below, above = np.nextafter(below, dtype.type(-np.inf)), np.nextafter(above, dtype.type(np.inf))
        found += [below, above]
    return np.array(found)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("weak", [False, True])
@given(threshold=THRESHOLDS)
def test_the_safe_side(dtype, weak, threshold):
    """Whatever a statistic was before it was rounded by three units, an error counts it and a power does not.

    But for statistics that equal a threshold which their type holds exactly: there the design's rule decides.
    """
    exact = Fraction(threshold)
    values = neighbours(threshold, dtype)
    error, power = (RejectionLimit.of(threshold, dtype, weak=weak, ties=ties).rejects(values) for ties in (True, False))
    for value, in_error, in_power in zip(values, error, power, strict=True):
        number, room = Fraction(float(value)), 3 * Fraction(float(np.finfo(dtype).eps)) / 2 * abs(exact)
        if number == exact:
            assert in_error == in_power == weak
        else:
            may_reject = number - room < exact
            must_reject = number + room < exact
            assert in_error or not may_reject
            assert must_reject or not in_power


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ties", [False, True])
@given(threshold=THRESHOLDS, away=st.floats(2e-6, 10), weak=st.booleans())
def test_statistics_away_from_the_threshold_are_as_ever(dtype, ties, threshold, away, weak):
    cut = RejectionLimit.of(threshold, dtype, weak=weak, ties=ties)
    for value in (threshold - away * abs(threshold), threshold + away * abs(threshold)):
        assert cut.rejects(np.array([value], dtype))[0] == (value < threshold)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("weak", "expected"), [(False, [1, 1, 0, 0, 0]), (True, [1, 1, 1, 0, 0])])
def test_zero_and_infinities(dtype, ties, weak, expected):
    values = np.array([-np.inf, -1e-30, 0.0, 1e-30, np.inf], dtype)
    assert RejectionLimit.of(0.0, dtype, weak=weak, ties=ties).rejects(values).tolist() == [
        bool(each) for each in expected
    ]
    assert RejectionLimit.of(np.inf, dtype, weak=weak, ties=ties).rejects(values).tolist() == [True] * 4 + [weak]
    assert RejectionLimit.of(-np.inf, dtype, weak=weak, ties=ties).rejects(values).tolist() == [weak] + [False] * 4


def test_near():
    values = np.array([0.05, 0.05 + 1e-6, 0.0500000003, 9.0], np.float32)
    assert near(values, 0.05).tolist() == [True, False, True, False]
    assert not near(values, 9.0).any()


class Rate(ada.ArrayModel):
    """The share of responders among ten, rounded as single precision does."""

    family = ada.Binomial(10)

    def __init__(self, reject_when):
        self.reject_when = reject_when

    def simulate(self, begin, end, theta, null_truth):
        """Return shares from uniform numbers."""
        draws = self.uniforms(begin, end, 10)
        rate = 1 / (1 + np.exp(-theta))
        return ((draws[None] < rate[:, :, None]).mean(axis=2).astype(np.float32)).astype(float)


GRID = ada.cartesian_grid([-0.5], [0.5], n=1)


def _rejections(reject_when, threshold, **how):
    run = flat.validate(Rate(reject_when), threshold=threshold, grid=GRID, n_sims=1000, **how)
    return int(run.results()["rejections"][0])


def test_at_least_and_at_most_need_no_next_number():
    more, at_least = _rejections("large", 0.5), _rejections("at least", 0.5)
    less, at_most = _rejections("small", 0.5), _rejections("at most", 0.5)
    assert at_least > more
    assert at_most > less
    assert more + at_most == less + at_least == 1000


def test_power_is_not_of_ties():
    """A share of 0.7 in single precision is below 0.7: of an array design, far from it in its double precision."""
    assert _rejections("at least", 0.7) == _rejections("large", 0.7)
    assert _rejections("at least", float(np.float32(0.7))) > _rejections("large", float(np.float32(0.7)))


class Tied(ada.ArrayModel):
    """Half of the statistics tie with 0.3: they are above it because they were rounded."""

    family = ada.Normal()
    reject_when = "large"

    def simulate(self, begin, end, theta, null_truth):
        """Return 0.1 * 3, or numbers below 0."""
        uniform = self.uniforms(begin, end, 1).T
        return np.where(uniform < 0.5, 0.1 * 3, -uniform) + 0 * theta


@pytest.mark.parametrize(
    ("quantity", "role", "estimate"), [("error", "null_hypos", 0.5), ("power", "alternatives", 0.0)]
)
def test_jobs_count_ties_for_errors_and_not_for_power(quantity, role, estimate):
    grid = ada.cartesian_grid([0.5], [1.5], n=1, **{role: ["x >= 0"]})
    results = flat.validate(
        Tied(), threshold=0.3, grid=grid, n_sims=1000, quantity=quantity, db=PandasStore()
    ).results()
    name = "tie_estimate" if quantity == "error" else "power_estimate"
    assert results[name][0] == pytest.approx(estimate, abs=0.1)
