"""Printed bounds are bounds."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from adagrid.estimation import number_down, number_up, percent_down, percent_up


@given(st.floats(0, 1))
def test_percentages_enclose_the_value(value):
    down, up = (Fraction(text.removesuffix("%")) / 100 for text in (percent_down(value), percent_up(value)))
    assert down <= Fraction(value) <= up
    assert up - down <= Fraction(1, 10**6)


@given(st.floats(-1e12, 1e12))
def test_numbers_enclose_the_value(value):
    down, up = (Fraction(text) for text in (number_down(value), number_up(value)))
    assert down <= Fraction(value) <= up
    assert up - down <= abs(Fraction(value)) / 10**5
