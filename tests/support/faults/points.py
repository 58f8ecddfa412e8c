"""Counts the moments of a job at which it can be disturbed, and kills its process, or does something else, at some.

Nothing is simulated about a kill: the process sends itself SIGKILL, which no Python code survives.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final
from unittest import mock

import duckdb
from clickhouse_connect.driver._backend.http_sync import HttpSyncBackend
from urllib3.connection import HTTPConnection

from adagrid.backends import LocalBackend


@final
@dataclass(frozen=True)
class Moment:
    """A moment at which a process can be killed.

    Args:
        when: "before", "half sent", "sent" (but not answered) or "after".
        what: the statement in its first words, or "packet".
    """

    when: str
    what: str

    @property
    def kind(self) -> str:
        """The first word of what is done."""
        return self.what.split()[0].lower()

    def __str__(self) -> str:
        return f"{self.when} {self.what!r}"


def die() -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


@final
@dataclass
class Trap:
    """Counts moments, and does something at some of them.

    Args:
        at: the numbers of these moments, from 0; none only counts.
        strike: what is done.
    """

    at: Container[int] = ()
    strike: Callable[[], None] = die
    moments: list[Moment] = field(default_factory=list)

    def pass_by(self, when: str, what: str) -> None:
        """Note a moment; do not return from a fatal one."""
        if len(self.moments) in self.at:
            self.strike()
        self.moments.append(Moment(when, " ".join(what.split()[:3])))

    def around(self, what: str, action: Callable[[], Any]) -> Any:
        """Do something between two moments."""
        self.pass_by("before", what)
        try:
            return action()
        finally:
            self.pass_by("after", what)

    @contextmanager
    def set(self) -> Iterator[None]:
        """Note every statement of either database, and every packet."""
        with (
            mock.patch.object(duckdb, "connect", _connecting(self, duckdb.connect)),
            mock.patch.object(HttpSyncBackend, "request", _requesting(self, HttpSyncBackend.request)),
            mock.patch.object(LocalBackend, "map", _simulating(self, LocalBackend.map)),
        ):
            yield


class _Watched:
    """A DuckDB connection whose statements are noted."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, trap: Trap) -> None:
        self._connection, self._trap = connection, trap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        return self._trap.around(sql, lambda: self._connection.execute(sql, *values))

    def close(self) -> None:
        self._trap.around("close", self._connection.close)


def _connecting(trap: Trap, connect: Callable[..., duckdb.DuckDBPyConnection]) -> Callable[..., _Watched]:
    return lambda *where, **how: _Watched(trap.around("connect", lambda: connect(*where, **how)), trap)


def _requesting(trap: Trap, request: Callable[..., Any]) -> Callable[..., Any]:
    """Requests of a ClickHouse client; those that write can be killed while they are under way, too."""

    def watched(backend: HttpSyncBackend, data: Any, params: dict[str, str], *how: Any, **more: Any) -> Any:
        body = data.encode() if isinstance(data, str) else data if isinstance(data, bytes) else b"".join(data or ())
        text = params.get("query") or body.partition(b"\n")[0].decode()
        verb = text.split()[0].lower()
        if verb not in ("insert", "create"):
            return trap.around(text, lambda: request(backend, body, params, *how, **more))
        answer = HTTPConnection.getresponse

        def answered(connection: HTTPConnection) -> Any:
            trap.pass_by("sent", text)
            return answer(connection)

        with mock.patch.object(HTTPConnection, "getresponse", answered):
            sent = _halved(trap, text, body) if verb == "insert" else body
            return trap.around(text, lambda: request(backend, sent, params, *how, **more))

    return watched


def _halved(trap: Trap, text: str, body: bytes) -> Iterator[bytes]:
    """Yield the body of an insert in two parts, each of which is sent at once."""
    yield body[: len(body) // 2]
    trap.pass_by("half sent", text)
    yield body[len(body) // 2 :]


def _simulating(trap: Trap, mapped: Callable[..., Any]) -> Callable[..., Any]:
    def watched(backend: LocalBackend, run: Callable[[Any], Any], packets: Any) -> Any:
        return mapped(backend, lambda packet: trap.around("packet", lambda: run(packet)), packets)

    return watched
