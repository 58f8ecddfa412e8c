"""The backend of Dask clusters, on this machine or elsewhere."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import islice
from multiprocessing import current_process
from operator import index
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from adagrid._optional import require
from adagrid.backends.backend import Backend, Result, Task, check_positive
from adagrid.backends.worker import Worker, check_wanted, working
from adagrid.errors import BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

# Tasks in flight per thread of the workers: the second waits at its worker, so the thread never idles.
_AHEAD = 2
# Seconds until a scheduler must answer.
_PATIENCE = 30
# Dask's profiler samples all threads a hundred times a second, which can deadlock a process in Python 3.11 before
# 3.11.9 (https://github.com/python/cpython/issues/106883).
_WITHOUT_PROFILER = {"distributed.worker.profile.enabled": False}
# A terminal sends Ctrl-C to workers, too. They ignore it, because the leader ends them.
_UNINTERRUPTED = "from signal import SIG_IGN, SIGINT, signal; signal(SIGINT, SIG_IGN)"
_LOST = "The Dask scheduler was lost. Everything finished before is saved: run the job again when it is back."
# Name of the processes that Dask starts, and the remedy for scripts that start them.
_STARTED = "Dask Worker process"
_GUARD = 'Put what it runs into a file, below: if __name__ == "__main__":'
# Addresses with a host and a port; Dask also knows other kinds.
_HOST_AND_PORT = re.compile(r"((tcp|tls|ucx|wss?)://)?([^:/\[\]]+|\[[^/\[\]]+\]):\d{1,5}")
# One task at a time in a process: compiled code uses all cores, and the cache of draws serves one task.
_TURN = threading.Lock()


@final
class DaskBackend(Backend):
    """The backend that runs jobs on a Dask cluster.

    If the job is on a server and has several zones, workers run whole zones and write to the database themselves.
    Between two coordinations, workers do not wait for each other. Otherwise this process leads the steps, and workers
    simulate packets. If a worker dies, other workers repeat its tasks, with the same results. Workers may join at any
    time.

    Workers need the same version of adagrid and the module that defines the design. A design of a script or notebook is
    sent to workers. For zones, workers also need a connection to the server, and its password in their environment. As
    in every Dask cluster, whoever can reach the scheduler can run code on the workers: run it in a trusted network, or
    secure it with TLS.

    Without `address` and `cluster`, the backend starts processes on this machine. They listen on this machine only and
    end with the run; `with backend:` reuses them for several runs. A script must start them below
    `if __name__ == "__main__":`.

    Args:
        n_zones: number of zones that run independently.
        coordinate_every: steps between coordinations.
        n_workers: processes to start on this machine, with one thread each; one per processor if None.
        address: address of a running scheduler, such as "tcp://10.0.0.1:8786".
        cluster: a Dask cluster (LocalCluster, SLURMCluster, KubeCluster, ...), which the backend does not stop.

    Raises:
        InvalidInputError: if a number is not a positive whole number, or more than one of `n_workers`, `address` and
            `cluster` is given.
        MissingExtraError: if Dask is not installed.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> with ada.DaskBackend(n_workers=4) as backend:  # doctest: +SKIP
        ...     run = ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, backend=backend)
    """

    has_workers = True

    def __init__(
        self,
        n_zones: int = 1,
        coordinate_every: int = 5,
        *,
        n_workers: int | None = None,
        address: str | None = None,
        cluster: Any = None,
    ) -> None:
        super().__init__(n_zones, coordinate_every)
        where = {"n_workers": n_workers, "address": address, "cluster": cluster}
        given = [name for name, value in where.items() if value is not None]
        if len(given) > 1:
            raise InvalidInputError(
                "DaskBackend takes one of n_workers= (processes on this machine), address= (of a scheduler) and "
                f"cluster= (a Dask cluster); got {', '.join(given)}."
            )
        if n_workers is not None:
            check_positive(n_workers=n_workers)
        if address is not None and not _is_address(address):
            raise InvalidInputError(
                "address must be a scheduler's, with its port, such as 'tcp://10.0.0.1:8786' or '10.0.0.1:8786'; got "
                f"{address!r}."
            )
        if cluster is not None and not hasattr(cluster, "scheduler_address"):
            raise InvalidInputError(
                f"cluster must be a Dask cluster, such as distributed.LocalCluster; got {cluster!r}."
            )
        self._dask = require("distributed", "dask")
        self._n_workers, self._where = index(n_workers or os.cpu_count() or 1), address or cluster
        self._client: Any = None
        self._sent: tuple[bytes, Any] | None = None

    @override
    def check(self) -> None:
        """Raise BackendError if started processes could not import the script.

        A started process imports the script. If the script then starts processes again, because it lacks
        `if __name__ == "__main__":`, this method ends the process silently, and the parent reports the reason.
        """
        if self._where is not None:
            return
        if getattr(current_process(), "_inheriting", False):
            if current_process().name.startswith(_STARTED):
                sys.exit(1)
            raise BackendError(f"Processes import the script that starts them, which would start more. {_GUARD}")
        main = sys.modules["__main__"]
        file = getattr(main, "__file__", None)
        if file is not None and main.__spec__ is None and not Path(file).exists():
            raise BackendError(
                f"The workers of DaskBackend(n_workers=...) import the script that starts them, and {file} is no file. "
                f"{_GUARD}"
            )

    @override
    def _stop(self) -> None:
        self._client = self._sent = None
        super()._stop()

    @override
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run tasks on workers and yield results in order.

        Each result is yielded as soon as it is available.

        Raises:
            BackendError: if no cluster can be reached, or several workers in a row die of a task.
        """
        with self._entered():
            client = self._connected()
            sent = self._send(require("cloudpickle", "dask").dumps(run))
            waiting, under_way = iter(tasks), deque[Any]()
            while True:
                room = _AHEAD * max(1, self._threads(client)) - len(under_way)
                for task in islice(waiting, max(0, room)):
                    under_way.append(client.submit(_answer, sent, task, pure=False))
                if not under_way:
                    return
                yield self._result(under_way.popleft())

    def _connected(self) -> Any:
        """Return a client of the cluster; start this backend's own cluster first."""
        if self._client is not None:
            return self._client
        self.check()
        with ExitStack() as stack:
            where = self._where
            if where is None:
                where = stack.enter_context(self._own_cluster())
            try:
                self._client = stack.enter_context(self._dask.Client(where, timeout=_PATIENCE, set_as_default=False))
            except OSError as error:
                raise BackendError(f"No Dask scheduler answers at {self._where}: {error}. Is it running?") from error
            self._open = stack.pop_all()
        return self._client

    def _own_cluster(self) -> Any:
        """Start a cluster of processes on this machine."""
        config = require("dask.config", "dask")
        try:
            with config.set(_WITHOUT_PROFILER), _silent():
                return self._dask.LocalCluster(
                    n_workers=self._n_workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    preload=[*config.get("distributed.worker.preload", []), _UNINTERRUPTED],
                    memory_limit=None,  # Dask would pause a worker at its limit, and the run would wait for ever
                )
        except RuntimeError:  # its message has no details
            raise BackendError(
                "The workers of DaskBackend(n_workers=...) import the script that starts them, and ended when they "
                f"did. {_GUARD} If it is there, the reason is above."
            ) from None

    def _send(self, work: bytes) -> Any:
        """Send the pickled function once, as a task's result that Dask can recompute."""
        if self._sent is None or self._sent[0] != work:
            key = f"adagrid-work-{hashlib.sha256(work).hexdigest()}"
            self._sent = work, self._client.submit(bytes, work, key=key)
        return self._sent[1]

    def _threads(self, client: Any) -> int:
        """Return the current number of worker threads."""
        try:
            threads = sum(client.nthreads().values())
        except OSError as error:
            raise BackendError(_LOST) from error
        if not threads:
            _logger.warning("no worker has joined %s yet: waiting for one", client.scheduler.address)
        return threads

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except self._dask.KilledWorker as error:
            raise BackendError(
                "Worker after worker died of the same task, perhaps for want of memory: give them more, or run the job "
                "again with a smaller packet_size. Everything finished before is saved."
            ) from error
        except self._dask.CancelledError as error:
            raise BackendError(_LOST) from error


def _is_address(address: Any) -> bool:
    """Return whether a value can be the address of a scheduler."""
    if not isinstance(address, str) or not address:
        return False
    scheme = address.partition("://")[0] if "://" in address else "tcp"
    known = scheme in ("tcp", "tls", "ucx", "ws", "wss")
    return not known or _HOST_AND_PORT.fullmatch(address) is not None


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress Dask's log of processes that fail to start; an error reports them."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("nanny", "core", "process")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _answer(work: bytes, task: Any) -> Any:
    """Run a task on a worker."""
    worker = require("distributed", "dask").get_worker()
    key = worker.get_current_task()

    def is_cancelled() -> bool:
        known = worker.state.tasks.get(key)
        return known is None or known.state == "cancelled" or worker.status.name in ("closing", "closed", "failed")

    with _TURN, working(Worker(_number, is_cancelled)):
        check_wanted()  # the wait for the turn may have been long
        return _loaded(work)(task)


@lru_cache(maxsize=4)
def _loaded(work: bytes) -> Callable[[Any], Any]:
    """Return the unpickled function, which comes from the leader, never from a database."""
    return require("cloudpickle", "dask").loads(work)


def _number(run: str, least: int) -> int:
    """Return the next number of a run, counted by the single-threaded scheduler."""

    def next_number(run: str, least: int, dask_scheduler: Any) -> int:  # a local function, so that Dask sends its code
        numbers = vars(dask_scheduler).setdefault("_adagrid_numbers", {})
        numbers[run] = max(numbers.get(run, 0) + 1, least)
        return int(numbers[run])

    return require("distributed", "dask").get_client().run_on_scheduler(next_number, run, least)
