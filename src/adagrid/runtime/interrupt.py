"""Stops a run when a person or a machine asks for it, and says what is saved."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

from adagrid.runtime.job import AnyJob


@contextmanager
def stoppable(job: AnyJob) -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does: cleanly, and with a word about what is saved and how to go on.

    Both end as KeyboardInterrupt, which ends a program with the code that shells know as 130. If nothing catches it,
    the sentence is the last thing that Python, IPython or a notebook shows: no traceback follows. A program that has
    its own way with SIGTERM or `sys.excepthook` keeps it.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        sentence = f"Interrupted. {_saved(job)}"
        job.display.warn(sentence)
        _explain(interrupt, sentence)
        raise
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _saved(job: AnyJob) -> str:
    if job.store.in_memory:
        return "The job was in memory and goes with this process: give db= the path of a file to keep one."
    return f"Every finished packet is saved in {job.store.location}: run the same again to go on."


def _explain(interrupt: KeyboardInterrupt, sentence: str) -> None:
    """Let a sentence stand for the traceback of an interrupt, or end it where a program has its own hook."""
    interrupt.add_note(sentence)
    interrupt._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined] # what IPython shows of it
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _without_explained


def _without_explained(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report what ended a program, unless it is an interrupt that its run has explained."""
    if not hasattr(error, "_render_traceback_"):
        sys.__excepthook__(kind, error, traceback)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
