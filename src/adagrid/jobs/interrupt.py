"""Stops a run when a person or a machine asks for it, and says what is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from adagrid.jobs.job import AnyJob


@contextmanager
def stoppable(job: AnyJob) -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does: cleanly, and with a word about what is saved and how to go on.

    Both end as KeyboardInterrupt, which ends a program with the code that shells know as 130. A program that has
    its own way with SIGTERM keeps it.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        job.display.warn(f"Interrupted. {_saved(job)}")
        raise
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _saved(job: AnyJob) -> str:
    if job.store.in_memory:
        return "The job was in memory and goes with this process: give db= the path of a file to keep one."
    return f"Every finished packet is saved in {job.store.location}: run the same again to go on."


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
