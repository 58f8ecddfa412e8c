"""The standard error as a job may use it: writing to it never fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, final


@final
class StandardError:
    """The standard error of this moment, which turns itself off for good at the first failure.

    It may be None or without `isatty` (services, embedded Python), closed, a pipe whose reader has gone, a terminal
    that was closed, or an object of the user's that raises anything. No job ends because of it. rich, which would exit
    or point the standard output elsewhere, never notices.
    """

    def __init__(self) -> None:
        stream: Any = sys.stderr
        self._stream: Any = getattr(stream, "rich_proxied_file", stream)  # of a run around this one: its display

    @property
    def encoding(self) -> str:
        """Name of its encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text, or do nothing."""
        if self._stream is not None:
            self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or do nothing."""
        if hasattr(self._stream, "flush"):
            self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        try:
            return bool(self._stream.isatty())
        except Exception:  # as in `_try`; None has no such method
            return False

    def fileno(self) -> int:
        """Return its number, which rich looks up on Windows and need not find."""
        return int(self._stream.fileno())

    def _try(self, action: Callable[..., object], *arguments: str) -> None:
        """Do something with the stream, and give it up if that fails."""
        try:
            action(*arguments)
        except Exception:  # whatever it is, the job goes on
            self._stream = None
