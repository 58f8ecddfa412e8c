"""JAX's settings that could change an answer or refuse our code: ours within our calls, the caller's outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

# Those that the installed version of JAX does not have are passed over.
OURS: dict[str, Any] = {
    # other random numbers
    "jax_threefry_partitionable": True,
    "jax_default_prng_impl": "threefry2x32",
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    # other roundings
    "jax_default_matmul_precision": "highest",
    "jax_allow_f16_reductions": True,
    "jax_softmax_custom_jvp": False,
    # errors in what is right
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_legacy_prng_key": "allow",
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_error_checking_behavior_nan": "ignore",
    "jax_error_checking_behavior_divide": "ignore",
    "jax_error_checking_behavior_oob": "ignore",
    "jax_disable_jit": False,
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_transfer_guard_host_to_device": "allow",
    "jax_transfer_guard_device_to_host": "allow",
    "jax_transfer_guard_device_to_device": "allow",
}
"""What each setting is within our calls."""
COMPILER_OPTIONS: dict[str, str | bool] = {"xla_cpu_enable_fast_math": False}
"""What XLA is asked for whatever the variable XLA_FLAGS says: fast mathematics changes sums and may overlook NaN."""


@contextmanager
def jax_settings(*, double: bool) -> Iterator[None]:
    """Give JAX our settings for the calls in a with block.

    Args:
        double: whether numbers are in double precision unless they state their type.
    """
    with ExitStack() as settings:
        for name, value in OURS.items():
            if getattr(jax.config, name, value) != value:
                settings.enter_context(_set(name, value))
        settings.enter_context(jax.enable_x64(double))
        yield


def set_otherwise() -> dict[str, Any]:
    """Return what the caller has set to something else than we do, by name, for the record."""
    settings = {name: getattr(jax.config, name, None) for name in OURS}
    differing = {name: value for name, value in settings.items() if value is not None and value != OURS[name]}
    flags = os.environ.get("XLA_FLAGS")
    return {**differing, "XLA_FLAGS": flags} if flags else differing


@contextmanager
def _set(name: str, value: Any) -> Iterator[None]:
    """Change a setting until a block ends: for this thread where JAX has a way to do that, else for the process."""
    of_thread: Any = getattr(jax, name.removeprefix("jax_"), None)
    if of_thread is not None:
        with of_thread(value):
            yield
        return
    before = getattr(jax.config, name)
    jax.config.update(name, value)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        jax.config.update(name, before)  # type: ignore[no-untyped-call]
