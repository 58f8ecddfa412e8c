"""Notice that this process was forked from one in which JAX had started: any computation would wait for ever.

JAX computes with threads, which no fork takes along. This is registered when adagrid is imported, and imports nothing.
"""

from __future__ import annotations

import os
import sys

from adagrid.errors import BackendError

_is_stuck = False


def check_not_forked() -> None:
    """Raise BackendError if no program of JAX can end in this process."""
    if _is_stuck:
        raise BackendError(
            "This process was forked from one that had used JAX, whose threads do not come along: it would wait "
            'for ever. Start processes with multiprocessing.get_context("spawn"), or give the run '
            "backend=ada.DaskBackend()."
        )


def _look() -> None:
    """Remember in a new child whether its parent had started JAX, in our programs or its own."""
    global _is_stuck
    started = getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None)
    compiled = getattr(sys.modules.get("adagrid._programs"), "_compiled", None)
    _is_stuck = _is_stuck or bool(started or compiled)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_look)
