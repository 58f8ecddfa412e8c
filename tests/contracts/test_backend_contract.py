"""Every backend keeps the contract."""

from __future__ import annotations

import pytest

import adagrid.backends
from adagrid import AWSBackend, Backend, DaskBackend, LocalBackend, ModalBackend
from adagrid._registry import implementations
from adagrid.errors import InvalidInputError
from adagrid.testing.backends import BackendContract


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def backend(self):
        return LocalBackend(n_zones=3, coordinate_every=2)


def test_every_backend_is_tested():
    tested = {AWSBackend, DaskBackend, LocalBackend, ModalBackend}
    assert set(implementations(adagrid.backends, Backend).values()) == tested


@pytest.mark.parametrize("arguments", [{"n_zones": 0}, {"coordinate_every": 0}, {"n_zones": 1.5}])
def test_bad_numbers(arguments):
    with pytest.raises(InvalidInputError, match="positive whole number; got"):
        LocalBackend(**arguments)
