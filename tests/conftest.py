"""Strict settings for every test, and the server that many share."""

from __future__ import annotations

import os

import jax
import pytest
from hypothesis import HealthCheck, settings

from clickhouse_server import BINARY, WITHOUT, ClickHouseServer

jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile("adagrid", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run, so that a change is judged by what it changes; other examples are tried at home.
settings.register_profile("ci", settings.get_profile("adagrid"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "adagrid")


@pytest.fixture(autouse=True)
def _x64_stays_off():
    """No code of ours may leave JAX in double precision."""
    yield
    assert not jax.config.jax_enable_x64


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A ClickHouse server of 2018, on this machine."""
    if BINARY is None:
        pytest.skip(WITHOUT)
    started = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    started.start()
    yield started
    started.stop()
