"""The time that a run has left: what takes long looks at it between any two pieces of its work.

A run sets its deadline for its own thread. Everything it calls, plans and bounds included, reads the same one; other
processes and other runs have their own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import final


@final
class TimeUpError(Exception):
    """The time of a run is used up. What was written is complete, and the run ends as TIMED_OUT."""


_end: ContextVar[float] = ContextVar("adagrid_deadline", default=math.inf)


def _clock() -> float:
    """Return the time in seconds; tests replace this."""
    return time.monotonic()


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Set a deadline for a block, in seconds from now; None sets none, whatever the block around it has."""
    token = _end.set(math.inf if seconds is None else _clock() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def seconds_left() -> float:
    """Return how much time is left, infinity if there is no deadline."""
    end = _end.get()
    return end if end == math.inf else end - _clock()


def check_time() -> None:
    """Raise TimeUpError if the time is used up."""
    if seconds_left() <= 0:
        raise TimeUpError
