"""Strict settings for all tests and studies, and the databases that many share."""

from __future__ import annotations

import gc
import resource
import sys

import jax
import pytest
from hypothesis import HealthCheck, settings

from adagrid import _jax_settings

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.fixtures", "tests.support.faults.fixtures"]

# Shapes that fit by chance are errors in this package, though designs may rely on them.
_jax_settings.OURS["jax_numpy_rank_promotion"] = "raise"
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


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spare the garbage collector libraries and tests, which live to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# The most memory that each process of a run with xdist had, by its name.
_peaks: dict[str, float] = {}


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        unit = 1 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes or KiB
        session.config.workeroutput["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_testnodedown(node, error):
    if peak := getattr(node, "workeroutput", {}).get("peak"):
        _peaks[node.gateway.id] = peak


def pytest_terminal_summary(terminalreporter):
    if _peaks:
        peaks = ", ".join(f"{name} {peak:.2f} GB" for name, peak in sorted(_peaks.items()))
        terminalreporter.write_line(f"Most memory of each process: {peaks}")
