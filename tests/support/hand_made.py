"""A Dask cluster of processes started by hand, and a network that can fail between them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.paths import IMPORTS


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class HandMadeCluster:
    """A scheduler and workers, each a process of its own; a context manager that ends them.

    Args:
        folder: where they keep what they need.
        settings: of Dask, such as {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = settings
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> HandMadeCluster:
        self.scheduler = self.start_scheduler()
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_scheduler(self) -> subprocess.Popen:
        """Start a scheduler and wait until it listens."""
        process = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return process
            assert process.poll() is None
            time.sleep(0.05)

    def start_worker(
        self, address: str | None = None, options: Sequence[str] = ("--nthreads", "1", "--no-dashboard")
    ) -> subprocess.Popen:
        """Start a worker, which looks for the scheduler at an address."""
        here = ("--host", "127.0.0.1", "--local-directory", str(self._folder))
        return self._start("worker", address or self.address, *here, *options)

    def _start(self, *arguments: str) -> subprocess.Popen:
        with (self._folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | self._settings | IMPORTS,
            )
        self.processes.append(process)
        return process


class Wire:
    """A network connection to a port of this machine that can be cut, or fall silent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._open, self._silent = threading.Event(), threading.Event()
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections and accept no others."""
        self._open.clear()
        for each in self._sockets:
            each.close() if each.fileno() < 0 else _break(each)

    def silence(self) -> None:
        """Let nothing through, without telling anybody."""
        self._silent.set()

    def mend(self) -> None:
        """Let connections through again; old ones stay as they are."""
        self._open.set()
        self._silent.clear()

    def close(self) -> None:
        """End for good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed for good
            try:
                far = socket.create_connection(("127.0.0.1", self._port)) if self._open.is_set() else None
            except OSError:  # nobody is there yet
                far = None
            if far is None:
                near.close()
                continue
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if self._silent.is_set():
                    return  # neither this nor anything after it arrives, and nobody is told
                target.sendall(data)
        except OSError:
            pass
        if not self._silent.is_set():
            _break(target)


def _break(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
