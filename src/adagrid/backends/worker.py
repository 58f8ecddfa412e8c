"""What a process that works for a backend can ask of it."""

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
    """A process that was started to work, while it is at work.

    Args:
        number: given the name of a run and a number, returns one that no other worker has been given for that run: at
            least the given one, and the next one each time.
        is_cancelled: tells whether nobody waits any more for what is under way.
    """

    number: Callable[[str, int], int]
    is_cancelled: Callable[[], bool]


_current: ContextVar[Worker | None] = ContextVar("adagrid_worker", default=None)


def current_worker() -> Worker | None:
    """Return the worker that this is, None in a process that works for itself."""
    return _current.get()


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """Let a thread be a worker's."""
    token = _current.set(worker)
    try:
        yield
    finally:
        _current.reset(token)


def check_wanted() -> None:
    """Raise BackendError if nobody waits any more for what this worker does."""
    worker = _current.get()
    if worker is not None and worker.is_cancelled():
        raise BackendError("Nobody waits any more for this work: the run that asked for it has stopped.")
