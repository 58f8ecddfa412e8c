"""What can happen to a job besides the death of its process, each tried in many variants."""

from __future__ import annotations

import os
import pickle
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adagrid.errors import StoreBusyError, StoreError
from tests.support.clickhouse_server import ClickHouseServer
from tests.support.faults.jobs import JOBS, ClickHouseDatabases, DuckDBFiles, Engine, answer, assert_same_answer
from tests.support.faults.points import Moment, Trap
from tests.support.faults.runs import Child, complete, finished, in_child, run_into, uninterrupted


def refused(engine: Engine, name: str, kind: type[StoreError], *words: str) -> bool:
    """Return whether a database is refused as it should be; any other error is raised."""
    try:
        engine.open(name).close()
    except kind as error:
        _must_tell(error, *words)
        return True
    return False


def _must_tell(error: StoreError, *words: str) -> None:
    missing = [word for word in words if word not in str(error)]
    if missing:
        raise AssertionError(f"The message does not say {missing}: {error}")


def damaged_logs(whole: bytes, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield variants of a write-ahead log, each with what was done to it."""
    rng = random.Random(1)
    for i in range(n):
        yield "cut off", whole[: (i * len(whole)) // n]
    for _ in range(n):
        place = rng.randrange(len(whole) * 3 // 4, len(whole))
        yield "a bit of the last quarter flipped", _flipped(whole, place, 1 << rng.randrange(8))
    for _ in range(n):
        yield "a byte flipped", _flipped(whole, rng.randrange(len(whole)), 0xFF)
    for _ in range(n):
        end = rng.randrange(len(whole))
        yield "zeros at the end", whole[:end] + bytes(len(whole) - end)


def _flipped(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def torn_log(folder: Path, job: str, log: bytes, file: Path) -> str:
    """Continue a killed job whose write-ahead log was damaged; return "recovered" or "refused", or raise.

    Refused, it must be possible to continue it without the log.
    """
    engine, name = DuckDBFiles(folder), f"torn_{os.getpid()}"
    shutil.copy(folder / "killed.duckdb", folder / f"{name}.duckdb")
    path = folder / f"{name}.duckdb.wal"
    path.write_bytes(log)
    found = folder / f"{name}.found"

    def go() -> None:
        was_refused = refused(engine, name, StoreError, "write-ahead log", "continue the job")
        if was_refused:
            path.unlink()
        complete(engine, job, name, file)
        found.write_text("refused" if was_refused else "recovered")

    finished(in_child(go))
    engine.forget(name)
    return found.read_text()


def killed_with_log(folder: Path, job: str, file: Path) -> bytes:
    """Leave a job that was killed just before its end in a folder, and return its write-ahead log."""
    engine = DuckDBFiles(folder)
    engine.forget("killed")
    moments: list[Moment] = uninterrupted(engine, job, file)
    ending = in_child(lambda: run_into(Trap([len(moments) - 3]), engine, job, "killed"))
    if not ending.killed:
        raise RuntimeError(f"The job was not killed. {ending.error}")
    return (folder / "killed.duckdb.wal").read_bytes()


# A full disk


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Mount a disk of some KiB on a folder; yield what enlarges it. Needs the right to mount."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder))
    try:
        yield lambda: _run("mount", "-o", "remount,size=64m", str(folder))
    finally:
        _run("umount", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def may_mount(folder: Path) -> bool:
    """Return whether this process may mount disks."""
    try:
        with small_disk(folder, 64):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond some KiB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size * 1024, resource.RLIM_INFINITY))


def stopped_for_room(engine: Engine, job: str, name: str, limit: int | None = None) -> bool:
    """Run a job where there may be no room; return whether it stopped for that, telling what to do."""

    def go() -> None:
        if limit is not None:
            limit_files(limit)
        try:
            JOBS[job](engine.open(name))
        except StoreError as error:
            _must_tell(error, "make room, then continue the job")
            return
        os.kill(os.getpid(), signal.SIGKILL)  # it had room: tell so

    ending = in_child(go)
    if not ending.killed:
        finished(ending)
    return not ending.killed


def without_room(folder: Path, job: str, size: int, file: Path) -> bool:
    """Run a job in files that cannot grow beyond some KiB and continue it when they can; return whether it stopped."""
    engine, name = DuckDBFiles(folder), f"limited_{size}"
    stopped = stopped_for_room(engine, job, name, size)
    finished(in_child(lambda: complete(engine, job, name, file)))
    engine.forget(name)
    return stopped


def on_small_disk(folder: Path, job: str, size: int, file: Path) -> bool:
    """Run a job on a disk of some KiB and continue it when that was enlarged; return whether it stopped."""
    disk = folder / f"disk_{size}"
    with small_disk(disk, size) as enlarge:
        stopped = stopped_for_room(DuckDBFiles(disk), job, "job")
        enlarge()
        finished(in_child(lambda: complete(DuckDBFiles(disk), job, "job", file)))
    return stopped


# Two processes


def twice_at_once(engine: ClickHouseDatabases, job: str, number: int, at: int | None, file: Path) -> None:
    """Let two processes run a job at the same time, from its start or from where it was killed."""
    name = f"twice_{os.getpid()}_{number}"
    if at is not None:
        in_child(lambda: run_into(Trap([at]), engine, job, name))
    children = [Child(lambda: complete(engine, job, name, file)) for _ in range(2)]
    for ending in [child.ending() for child in children]:
        finished(ending)
    finished(in_child(lambda: complete(engine, job, name, file)))
    engine.forget(name)


def second_is_refused(engine: DuckDBFiles, job: str, file: Path, times: int) -> None:
    """Try to open a job's file while another process runs it, and let that end."""
    name = "contended"
    opened, tried = engine.folder / f"{name}.opened", engine.folder / f"{name}.tried"

    def first() -> None:
        store = engine.open(name)
        opened.touch()
        run = JOBS[job](store)
        while not tried.exists():
            time.sleep(0.01)
        store.verify()
        assert_same_answer(answer(run, store), pickle.loads(file.read_bytes())[0])
        store.close()

    def second() -> None:
        words = (str(engine.folder / f"{name}.duckdb"), "another process", "Wait until")
        assert refused(engine, name, StoreBusyError, *words), "a second process could open the file"

    child = Child(first)
    while not opened.exists() and not child.has_ended():
        time.sleep(0.01)
    others = [in_child(second) for _ in range(times)]
    tried.touch()
    endings = [child.ending(), *others]
    for flag in (opened, tried):
        flag.unlink(missing_ok=True)
    for ending in endings:
        finished(ending)
    engine.forget(name)


# A server that is killed


def served_by_a_mortal(folder: Path, job: str, name: str, file: Path, kills: int) -> int:
    """Kill a server several times while it serves a job, and start it again; return how often it was killed.

    The job's process says at which moments, and waits for the death. A job that is disturbed has at least as many
    moments as the uninterrupted one, so all of them come.
    """
    folder.mkdir(exist_ok=True)
    moments: list[Moment] = pickle.loads(file.read_bytes())[1]
    at = random.Random(name).sample(range(len(moments)), kills)
    server = ClickHouseServer(folder)
    server.start()
    ours, theirs = socket.socketpair()

    def ask() -> None:
        theirs.sendall(b"now")
        theirs.recv(1)

    def go() -> None:
        ours.close()
        with Trap(at, ask).set():
            complete(ClickHouseDatabases(server.port), job, name, file)

    try:
        child = Child(go)
        theirs.close()
        done = 0
        with ours:
            while ours.recv(3):  # nothing once the job has ended
                server.kill()
                ours.sendall(b"!")
                server.start()
                done += 1
        finished(child.ending())
        return done
    finally:
        server.kill()
