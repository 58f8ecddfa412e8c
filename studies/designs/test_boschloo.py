"""The larger of the published cases; tests/designs has the smaller one."""

from __future__ import annotations

from tests.support.boschloo import assert_calibrated_fisher_is_boschloo


def test_calibrated_fisher_is_boschloo():
    assert_calibrated_fisher_is_boschloo(12, 0.025, 0.046584, 0.049766)
