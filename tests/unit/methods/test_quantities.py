"""Limits of errors, power and means hold for what is rounded on the way to them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adagrid.estimation import clopper_pearson_lower, clopper_pearson_upper
from adagrid.settings.quantities import Mean, Power, TypeIError

probabilities = st.floats(0.0, 1.0)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@given(error=st.floats(1e-200, 1.0))
def test_computed_errors_may_have_been_rounded_up(error, share):
    """By 1e-9 of them, as `Model.exact_error` promises at most."""
    computed = np.array([min(error * (1 + share * 1e-9), 1.0)])
    for quantity, event in ((TypeIError(), Fraction(error)), (Power(), 1 - Fraction(error))):
        _, lower, upper = quantity.computed(computed)
        assert Fraction(lower[0]) <= event <= Fraction(upper[0])


@given(ends=st.tuples(probabilities, probabilities).map(sorted))
def test_bounds_of_power_are_rounded_outwards(ends):
    """One minus a number is rounded: what is reported encloses it."""
    least, most = Power().interval(*(np.array([end]) for end in ends))
    assert 0 <= Fraction(least[0]) <= 1 - Fraction(ends[1])
    assert 1 - Fraction(ends[0]) <= Fraction(most[0]) <= 1


@pytest.mark.parametrize("ends", [(-7.0, 0.1), (1.0, 1.7)])
def test_limits_of_means_make_up_for_the_steps_of_uniform_numbers(ends):
    """In single precision there are 2^23 uniform numbers: so many are below a rescaled statistic, which is rounded."""
    low, high = np.float32(ends[0]), np.float32(ends[1])
    values = np.random.default_rng(0).uniform(*ends, 100_000).astype(np.float32).clip(low, high)
    below = np.ceil(((values - low) / (high - low)).astype(float) * 2**23) / 2**23
    excess = below - (values.astype(float) - float(low)) / (float(high) - float(low))
    assert excess.min() < 0 < excess.max()
    counts, n_sims = np.array([0, 3, 500, 999, 1000]), np.full(5, 1000)
    _, lower, upper = Mean(float(low), float(high)).limits(counts, n_sims, 0.01)
    assert (lower <= np.maximum(clopper_pearson_lower(counts, n_sims, 0.01) - excess.max(), 0)).all()
    assert (upper >= np.minimum(clopper_pearson_upper(counts, n_sims, 0.01) - excess.min(), 1)).all()
