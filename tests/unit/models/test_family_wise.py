"""The statistic of several null hypotheses is the largest of those that are true."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from adagrid.errors import InvalidInputError
from adagrid.models._family_wise import largest_of_true

STATISTICS = (0.5, -1.0, 2.0)


def largest(truth):
    return float(largest_of_true([jnp.float32(each) for each in STATISTICS], jnp.asarray(truth)))


def test_the_largest_of_the_true_ones():
    for truth in itertools.product((False, True), repeat=3):
        expected = max((each for each, true in zip(STATISTICS, truth, strict=True) if true), default=-np.inf)
        assert largest(truth) == expected


@pytest.mark.parametrize("n", [1, 2, 4])
def test_other_numbers_of_hypotheses_are_refused(n):
    """Rejections of those that the design does not have would never be counted."""
    with pytest.raises(InvalidInputError, match=f"has 3 null hypotheses.*got {n}"):
        largest([True] * n)
