"""Strict settings for all tests and studies, and the databases that many share."""

from __future__ import annotations

import jax
import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.fixtures", "tests.support.faults.fixtures"]

jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile("random", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run, so that a change is judged by what it changes; `make studies` tries others.
settings.register_profile("fixed", settings.get_profile("random"), derandomize=True, database=None)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _x64_stays_off():
    """No code of ours may leave JAX in double precision."""
    yield
    assert not jax.config.jax_enable_x64
