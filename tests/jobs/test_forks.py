"""A process that was forked after JAX had started says so; it would wait for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from tests.support.paths import IMPORTS

# A process forks before and after JAX has started, and waits for each child.
_SCRIPT = textwrap.dedent(
    """
    import os, sys, warnings
    import jax
    import adagrid as ada
    from adagrid.testing import PandasStore
    from tests.support.jobcases import IN_JAX, run_case

    def forked(design=None):
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            print(run_case("validate_z", design, db=PandasStore(), n_steps=1, progress=False).covered, flush=True)
        except ada.errors.AdagridError as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)

    warnings.simplefilter("ignore")  # JAX warns, and waits all the same
    forked(IN_JAX["z"])
    jax.devices()
    forked(IN_JAX["z"])
    forked()
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
def test_forked_after_jax_had_started():
    answer = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | IMPORTS,
    )
    before, after, without_jax = answer.stdout.splitlines()
    assert (before, without_jax) == ("True", "True")
    assert after.startswith("BackendError This process was forked")
    assert 'get_context("spawn")' in after
    assert "ada.DaskBackend" in after
