"""Runs jobs in processes of their own that are killed, and continues them in others.

A worker has imported everything and computed nothing, so that a process for every point is forked from it in an
instant; compiled code is shared through a folder.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import jax

from tests.support.faults.jobs import JOBS, Engine, answer, assert_same_answer
from tests.support.faults.points import Moment, Trap

# First words of what changes a database, and of simulating.
_CHANGES = frozenset({"connect", "create", "insert", "commit", "packet"})
# Seconds after which a process is taken to hang.
_LIMIT = 300


@final
@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Args:
        killed: whether SIGKILL ended it.
        error: what went wrong; empty if it was killed or all went well.
    """

    killed: bool
    error: str


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a job that was to be killed at a moment.

    Args:
        at: the number of the moment.
        died: whether its process was really killed.
        error: why the job did not survive; empty if it did.
    """

    at: int
    died: bool
    error: str


@final
class Workers:
    """Processes that kill and continue jobs.

    Args:
        folder: for compiled code, which they share.
        count: how many; two for every core by default, because a database on a disk or a server keeps them waiting.
    """

    def __init__(self, folder: Path, count: int | None = None) -> None:
        self._pool = ProcessPoolExecutor(
            count or 3,
            multiprocessing.get_context("spawn"),
            initializer=share_compiled_code,
            initargs=(str(folder),),
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, task: Callable[..., Any], *arguments: Any) -> Any:
        """Let one of them do something and return what that gives."""
        return self._pool.submit(task, *arguments).result()

    def run_all(self, task: Callable[..., Any], variants: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Let them do something in many variants, and yield what each gives, an exception if it raises."""
        futures = [self._pool.submit(task, *arguments) for arguments in variants]
        for future in futures:
            error = future.exception()
            yield future.result() if error is None else error

    def kill_at(
        self, engine: Engine, job: str, folder: Path, every: int = 1, first: int = 0
    ) -> tuple[list[Moment], list[Outcome]]:
        """Kill a job at its moments, or at some of them, each in a run of its own, and continue each.

        Args:
            engine: where jobs are kept.
            job: one of JOBS.
            folder: for the answer of the uninterrupted run.
            every: every how many moments.
            first: the first of them.

        Returns:
            All moments of the job, and what became of it at those that were tried.
        """
        return self._kill_at(engine, job, folder, lambda moments: range(first, len(moments), every))

    def kill_at_each_kind(self, engine: Engine, job: str, folder: Path) -> tuple[list[Moment], list[Outcome]]:
        """Kill a job once at each kind of moment that changes the database or simulates, the middle one of them.

        A kill at a statement that only reads, opens a transaction or closes leaves what a kill before it leaves.
        """

        def chosen(moments: list[Moment]) -> list[int]:
            kinds: dict[tuple[str, str], list[int]] = {}
            for number, moment in enumerate(moments):
                if moment.kind in _CHANGES:
                    kinds.setdefault((moment.when, moment.kind), []).append(number)
            return [numbers[len(numbers) // 2] for numbers in kinds.values()]

        return self._kill_at(engine, job, folder, chosen)

    def _kill_at(
        self, engine: Engine, job: str, folder: Path, chosen: Callable[[list[Moment]], Iterable[int]]
    ) -> tuple[list[Moment], list[Outcome]]:
        file = folder / f"{engine.name} {job}.answer"
        moments: list[Moment] = self.run(uninterrupted, engine, job, file)
        variants = [(engine, job, at, file) for at in chosen(moments)]
        return moments, list(self.run_all(killed_and_continued, variants))


def share_compiled_code(folder: str) -> None:
    """Let processes that this one forks share compiled code; starts no computation."""
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@final
class Child:
    """A forked process that does one thing.

    Args:
        task: what it does.
    """

    def __init__(self, task: Callable[[], None]) -> None:
        self._status: int | None = None
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                os.close(reading)
                signal.alarm(_LIMIT)
                task()
                status = 0
            except BaseException:
                os.write(writing, traceback.format_exc().encode()[-4000:])
            finally:
                os._exit(status)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def ending(self) -> Ending:
        """Wait for its end."""
        with self._pipe:
            text = self._pipe.read().decode()
        status = os.waitpid(self._pid, 0)[1] if self._status is None else self._status
        self._status = status
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        unexplained = "" if status == 0 or killed else f"The process ended with status {status}."
        return Ending(killed, text or unexplained)


def in_child(task: Callable[[], None]) -> Ending:
    """Do something in a forked process and wait for its end."""
    return Child(task).ending()


def finished(ending: Ending) -> None:
    """Raise if a process did not come to its end.

    Raises:
        RuntimeError: telling what went wrong.
    """
    if ending.error or ending.killed:
        raise RuntimeError(ending.error or "The process was killed.")


def uninterrupted(engine: Engine, job: str, file: Path) -> list[Moment]:
    """Run a job to its end, keep its answer in a file, and return all its moments."""

    def run() -> None:
        trap = Trap()
        with trap.set():
            store = engine.open("uninterrupted")
            found = JOBS[job](store)
            kept = answer(found, store)
            store.close()
        file.write_bytes(pickle.dumps((kept, trap.moments)))

    engine.forget("uninterrupted")
    ending = in_child(run)
    engine.forget("uninterrupted")
    finished(ending)
    return pickle.loads(file.read_bytes())[1]


def killed_and_continued(engine: Engine, job: str, at: int, file: Path) -> Outcome:
    """Kill a job at a moment, continue it, and compare it with the answer in a file."""
    name = f"point_{os.getpid()}_{at}"
    dying = in_child(lambda: run_into(Trap([at]), engine, job, name))
    continued = in_child(lambda: complete(engine, job, name, file)) if dying.killed else dying
    if not continued.error:
        engine.forget(name)
    return Outcome(at, dying.killed, continued.error or ("" if dying.killed else "The moment was never reached."))


def run_into(trap: Trap, engine: Engine, job: str, name: str) -> None:
    """Run a job until a trap kills it."""
    with trap.set():
        store = engine.open(name)
        answer(JOBS[job](store), store)
        store.close()


def complete(engine: Engine, job: str, name: str, file: Path) -> None:
    """Run or continue a job, verify it before and after, and compare it with the answer in a file.

    Raises:
        AssertionError: if the answer is another one.
        CorruptStoreError: if rows contradict each other.
    """
    store = engine.open(name)
    if store.exists:
        store.verify()
    run = JOBS[job](store)
    store.verify()
    assert_same_answer(answer(run, store), pickle.loads(file.read_bytes())[0])
    store.close()
