"""Every design keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest

import adagrid.models
from adagrid import FisherExact, Model, PooledZ, ZTest
from adagrid._registry import implementations
from adagrid.testing.models import ModelContract


class TestZTest(ModelContract):
    @pytest.fixture
    def model(self):
        return ZTest(n=4, sd=2.0)

    @pytest.fixture
    def theta(self):
        return np.array([[-1.0], [0.0], [0.3]])


class TestFisherExact(ModelContract):
    @pytest.fixture
    def model(self):
        return FisherExact((7, 10))

    @pytest.fixture
    def theta(self):
        return np.array([[-1.0, 0.5], [0.0, 0.0], [3.0, -3.0]])


class TestPooledZ(TestFisherExact):
    @pytest.fixture
    def model(self):
        return PooledZ(150)


def test_every_model_is_tested():
    tested = {"z_test": ZTest, "fisher_exact": FisherExact, "pooled_z": PooledZ}
    assert implementations(adagrid.models, Model) == tested
