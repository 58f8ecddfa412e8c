"""Counts what JAX compiles."""

from __future__ import annotations

from contextlib import contextmanager

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def compilations():
    """Collect the names of the functions that are compiled, or loaded from the persistent cache."""
    names: list[str] = []

    def listen(event: str, _seconds: float, **about: str | int) -> None:
        if event == _COMPILED:
            names.append(str(about.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
