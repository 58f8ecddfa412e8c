"""Services that a backend offers to its worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import final

from adagrid.errors import BackendError


@final
@dataclass(frozen=True)
class Worker:
    """A worker process while it runs a task.

    Args:
        number: maps the name of a run and a least number to the next unused number of that run, unique to one worker.
        is_cancelled: returns whether the leader has cancelled the current task.
    """

    number: Callable[[str, int], int]
    is_cancelled: Callable[[], bool]


_current: ContextVar[Worker | None] = ContextVar("adagrid_worker", default=None)


def current_worker() -> Worker | None:
    """Return the current worker, or None outside workers."""
    return _current.get()


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """Make a worker current in this thread."""
    token = _current.set(worker)
    try:
        yield
    finally:
        _current.reset(token)


def check_wanted() -> None:
    """Raise BackendError if the leader has cancelled this worker's task."""
    worker = _current.get()
    if worker is not None and worker.is_cancelled():
        raise BackendError("Nobody waits any more for this work: the run that asked for it has stopped.")
