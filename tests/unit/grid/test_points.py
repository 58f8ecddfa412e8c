"""Points that are simulated in another way are other points."""

from __future__ import annotations

import numpy as np
import pytest

from adagrid.grid.points import Points

_ASKED = {
    "theta": np.array([[0.25, -0.5]]),
    "null_truth": np.array([[True, False]]),
    "stream": 1,
    "begin": 64,
    "n_sims": np.array([128]),
    "level": 0.01,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"theta": np.array([[-0.5, 0.25]])},
        {"theta": np.array([[0.25, np.nextafter(-0.5, 0)]])},
        {"null_truth": np.array([[False, True]])},
        {"null_truth": np.array([[True, True]])},
        {"stream": 2},
        {"begin": 0},
        {"n_sims": np.array([256])},
        {"level": 0.02},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_ids_follow_from_all_that_is_asked(changed):
    """A point on a null boundary is one point for each of the configurations around it."""
    one, same, other = (Points.asked(**asked).id for asked in (_ASKED, _ASKED, _ASKED | changed))
    assert one == same
    assert one != other


def test_zero_has_no_sign():
    """Neighbouring cells that compute it differently share the point."""
    one, other = (Points.asked(**_ASKED | {"theta": np.array([[0.25, zero]])}) for zero in (0.0, -0.0))
    assert one.id == other.id
