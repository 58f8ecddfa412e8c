"""Lower bounds in closed form, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import adagrid as ada
from adagrid.bounds import interpolated_lower_bound, tilt_bound, tilt_lower_bound

probabilities, widths = st.floats(1e-12, 1 - 1e-9) | st.just(1.0), st.floats(1e-3, 4.0)


@settings(max_examples=200, deadline=None)
@given(probability=probabilities, width=widths)
def test_normal_in_closed_form(probability, width):
    """The best s is sqrt(2 log(1/p)) / v: the bound is exp(-(sqrt(2 log(1/p)) + v)^2 / 2), or the complement's."""
    tile = np.array([[[-width], [0.5 * width]]])
    bound = tilt_lower_bound(ada.Normal(), np.zeros((1, 1)), tile, probability)[0]
    root = np.sqrt(-2 * np.log(probability))
    remains = 1 - probability + np.finfo(float).eps
    complement = 1 - tilt_bound(ada.Normal(), np.zeros((1, 1)), tile, remains)[0]
    assert bound == pytest.approx(max(np.exp(-((root + width) ** 2) / 2), complement), rel=1e-6, abs=1e-15)


def test_all_or_nothing():
    """What always happens always does, but for a last digit, and of what never happens nothing is known."""
    tile = np.array([[[-0.3], [0.3]]])
    bounds = [tilt_lower_bound(ada.Normal(), np.zeros((1, 1)), tile, level)[0] for level in (0.0, 1.0)]
    assert bounds == pytest.approx([0.0, 1.0], abs=1e-12)
    ends = np.array([[[-0.3], [0.3]]])
    levels = ([[0.0, 0.5]], [[1.0, 1.0]])
    bounds = [interpolated_lower_bound(ada.Normal(), ends, np.array(level))[0] for level in levels]
    assert bounds[0] > 0.1  # from the other vertex alone
    assert bounds[1] == pytest.approx(1.0, abs=1e-12)


def test_a_level_that_was_rounded_to_one_is_not_certain():
    """1 - 1e-17 is 1 in double precision; three standard errors away the complement may be far more likely."""
    ends = np.array([[[0.0], [6.0]]])
    at_one = interpolated_lower_bound(ada.Normal(), ends, np.array([[1.0, 0.4]]))[0]
    tile = np.array([[[-6.0], [6.0]]])
    for bound in (at_one, tilt_lower_bound(ada.Normal(), np.zeros((1, 1)), tile, 1.0)[0]):
        assert bound < 1 - tilt_bound(ada.Normal(), np.zeros((1, 1)), tile, 1e-17)[0]


@settings(max_examples=100, deadline=None)
@given(
    base=st.floats(-2, 2),
    ends=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)),
    needed=st.integers(0, 12),
)
def test_tails_of_a_binomial(base, ends, needed):
    """A tail's probability lies above the bound all over a tile, and over a simplex of two vertices."""
    from scipy.stats import binom

    family = ada.Binomial(12)

    def probability(logit):
        return binom.sf(needed - 1, 12, expit(logit))

    places = base + np.linspace(-ends[0], ends[1], 9)
    tile = np.array([[[-ends[0]], [ends[1]]]])
    bound = tilt_lower_bound(family, np.array([[base]]), tile, probability(base) * (1 - 1e-12))[0]
    assert (bound <= probability(places)).all()
    vertices = places[[0, -1]]
    between = interpolated_lower_bound(
        family, vertices[None, :, None], np.clip(probability(vertices)[None] * (1 - 1e-12), 0, 1)
    )[0]
    assert (between <= probability(places)).all()
    # with both ends, and not the middle alone, it is not far off where little happens in between
    assert between > 0
