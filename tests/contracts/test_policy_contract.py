"""Every policy keeps the contract."""

from __future__ import annotations

import pytest

from adagrid._registry import implementations
from adagrid.methods.tiles import policies
from adagrid.methods.tiles.policies import CalibrationPolicy, ClassicCalibration, ClassicValidation, ValidationPolicy
from adagrid.testing import PolicyContract


class TestClassicValidation(PolicyContract):
    @pytest.fixture
    def policy(self):
        return ClassicValidation()


class TestClassicCalibration(PolicyContract):
    @pytest.fixture
    def policy(self):
        return ClassicCalibration()


def test_every_policy_is_tested():
    assert implementations(policies, ValidationPolicy) == {"classic_validation": ClassicValidation}
    assert implementations(policies, CalibrationPolicy) == {"classic_calibration": ClassicCalibration}
