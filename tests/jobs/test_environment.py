"""Settings of other libraries, whatever their caller has made of them, change no answer and refuse no design."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import adagrid as ada
from adagrid._jax_settings import jax_settings
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.interrupting import Stop, interrupting
from tests.support.jobcases import IN_JAX, assert_same, run_case, tables
from tests.support.paths import ROOT

JAX = {
    "jax_threefry_partitionable": False,
    "jax_default_prng_impl": "rbg",
    "jax_random_seed_offset": 3,
    "jax_high_dynamic_range_gumbel": True,
    "jax_default_matmul_precision": "bfloat16",
    "jax_allow_f16_reductions": False,
    "jax_softmax_custom_jvp": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_legacy_prng_key": "error",
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_check_tracer_leaks": True,
    "jax_error_checking_behavior_nan": "raise",
    "jax_disable_jit": True,
    "jax_transfer_guard": "disallow",
}
PANDAS = {"mode.performance_warnings": False, "compute.use_numexpr": False, "display.precision": 2}
CASES = ("validate_fisher", "staged_validate_z", "calibrate_fisher")


class Drawing(ada.Model):
    """It draws in ways that settings of JAX change, and multiplies matrices."""

    family = ada.Normal()
    reject_when = "large"

    def draw(self, key):
        own = jax.random.split(jax.random.key(3))[1]
        chosen = jax.random.categorical(jax.random.fold_in(own, jax.random.bits(key)), jnp.arange(4.0))
        return jax.random.normal(key, (4,)) @ jnp.eye(4)[chosen] + 0 * jnp.ones((2, 4))[:, :1]

    def statistic(self, draw, theta, null_truth):
        return draw.mean() + theta[0] + jnp.where(draw.sum() > 1e9, jnp.inf / jnp.inf, 0)


@contextmanager
def jax_set(**settings):
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def drawing(**how):
    grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["theta0 <= 0"])
    return flat.validate(Drawing(), threshold=1.5, grid=grid, n_sims=512, **{"db": PandasStore()} | how)


def run_in_jax(case, **how):
    return run_case(case, IN_JAX[case.rpartition("_")[2]], **{"db": PandasStore()} | how)


@pytest.fixture(scope="module")
def expected():
    return {case: tables(run_in_jax(case)) for case in CASES} | {"drawing": tables(drawing())}


@pytest.mark.parametrize("name", JAX)
def test_no_setting_of_jax_changes_an_answer(expected, name):
    with jax_set(**{name: JAX[name]}):
        run = drawing()
        assert getattr(jax.config, name) == JAX[name]  # it is the caller's again
    assert_same(run, expected["drawing"])


@pytest.mark.parametrize("case", CASES)
def test_nothing_around_a_job_changes_its_answer(expected, case):
    settings = {name: value for name, value in JAX.items() if name != "jax_disable_jit"}
    with jax_set(**settings), np.errstate(all="raise"), _pandas_set():
        run = run_in_jax(case)
        run.verify()
        run.summary()
        assert np.geterr()["under"] == "raise"
    assert_same(run, expected[case])


def test_a_job_goes_on_under_other_settings(expected):
    """Its trials before and after are those of one stream."""
    store = PandasStore()
    with jax_set(jax_threefry_partitionable=False), interrupting(store, 10), pytest.raises(Stop):
        run_in_jax("validate_fisher", db=store)
    assert_same(run_in_jax("validate_fisher", db=store), expected["validate_fisher"])


def test_what_was_set_otherwise_is_in_the_record():
    with jax_set(jax_threefry_partitionable=False), np.errstate(divide="raise"):
        run = drawing()
    (leader,) = run.table("config")["environment"]
    assert leader["settings"] == {"jax_threefry_partitionable": False, "divide": "raise"}


def test_other_settings_of_jax_stay_as_they_are():
    with jax_set(jax_random_seed_offset=3), jax_settings(double=True):
        assert jax.config.jax_enable_x64
        assert jax.config.jax_random_seed_offset == 0
    assert not jax.config.jax_enable_x64


_SCRIPT = """
import adagrid as ada
from tests.jobs.test_environment import run_in_jax
run = run_in_jax("validate_fisher")
print(run.bound, *run.results()["rejections"])
"""


def test_variables_that_jax_reads_change_no_answer():
    variables = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true", "JAX_THREEFRY_PARTITIONABLE": "0"}
    script = [sys.executable, "-c", _SCRIPT]
    told = subprocess.run(script, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True)
    run = run_in_jax("validate_fisher")
    assert told.stdout.split() == [str(run.bound), *map(str, run.results()["rejections"])]


@contextmanager
def _pandas_set():
    with pd.option_context(*(item for option in PANDAS.items() for item in option)):
        yield
