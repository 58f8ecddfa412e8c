"""Keeps a copy of a job elsewhere while it runs, without slowing or failing it.

A thread of its own reads the job through a connection of its own and writes the copy. At most one request waits, so a
slow server gets fewer copies, not a queue of them. The thread reports nothing itself: errors are reported by the
job's thread, at the next request, which also tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

import numpy as np
from typing_extensions import override

from adagrid.copies._files import check_writable
from adagrid.copies.snapshot import check_snapshot, write_snapshot
from adagrid.copies.transfer import Advance, check_copy, transfer
from adagrid.errors import InvalidInputError, NotAJobError, StoreError
from adagrid.stores import Store, is_url, open_store
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores._duckdb_files import file_path
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore

logger = logging.getLogger("adagrid")

BackupTo: TypeAlias = str | PathLike[str] | Callable[[], Store]
"""Where a job is backed up to: a DuckDB file, a job on a ClickHouse server, or what a function opens."""

# Seconds that a server may be away before a try is given up: while the job runs, and before it begins.
_PATIENCE = 5.0
_PATIENCE_AT_FIRST = 2.0
# Seconds without progress after which a job that has ended waits no longer for its last backup.
_PATIENCE_AT_LAST = 30.0
_PAUSE = 1.0
_MOMENT = 0.02


class Destination(Protocol):
    """A place that receives copies of a job."""

    @property
    def patience(self) -> float:
        """For how many seconds without progress a job that has ended waits for it."""

    def check(self, source: Store | None) -> None:
        """Refuse, before anything is written, what could not be used; `source` is None for a job yet to be started."""

    def save(self, source: Store, advance: Advance) -> None:
        """Bring it up to date with a job."""


@final
class Copy(Destination):
    """A database that gets what it lacks.

    Args:
        place: which.
    """

    def __init__(self, place: BackupTo) -> None:
        self.place = _settled(place)

    @override
    def __str__(self) -> str:
        return "backup" if callable(self.place) else f"backup to {fspath(self.place)}"

    @property
    @override
    def patience(self) -> float:
        return _PATIENCE_AT_LAST

    @override
    def check(self, source: Store | None) -> None:
        if isinstance(self.place, (str, PathLike)) and not is_url(self.place):
            file = Path(self.place)
            if file.is_dir() or not file.parent.is_dir():
                raise InvalidInputError(
                    f"backup must be a DuckDB file in an existing folder or a clickhouse:// URL; got {str(file)!r}."
                )
            check_writable(file.parent)
            if file.exists():
                with closing(DuckDBStore(file, read_only=True)) as target:
                    check_copy(target, source)
            return
        try:
            with closing(self._opened(_PATIENCE_AT_FIRST)) as target:
                check_copy(target, source)
        except NotAJobError:
            raise
        except StoreError as error:  # it may be back before the job ends
            logger.warning("%s cannot be used now: %s", self, error)

    @override
    def save(self, source: Store, advance: Advance) -> None:
        with closing(self._opened(_PATIENCE)) as target:
            transfer(source, target, advance)

    def _opened(self, patience: float) -> Store:
        if callable(self.place):
            return self.place()
        return ClickHouseStore(self.place, patience=patience) if is_url(self.place) else open_store(self.place)


def _settled(place: BackupTo) -> BackupTo:
    """Return where a backup goes, whatever folder is the current one later; a job without a name gets one, once."""
    if callable(place):
        return place
    if is_url(place):
        return str(read_url(place))
    if fspath(place) == ":memory:":
        raise InvalidInputError(
            f"backup must be a DuckDB file in an existing folder or a clickhouse:// URL; got {fspath(place)!r}."
        )
    return str(file_path(place))


@final
class Snapshot(Destination):
    """A file that is replaced by the job as it stands.

    Args:
        path: the file.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.place = file_path(path)

    @override
    def __str__(self) -> str:
        return f"snapshot {self.place}"

    @property
    @override
    def patience(self) -> float:
        return np.inf  # the engine writes it in one go, and does not tell how far it is

    @override
    def check(self, source: Store | None) -> None:
        check_snapshot(self.place, source)

    @override
    def save(self, source: Store, advance: Advance) -> None:
        write_snapshot(source, self.place, advance)


@final
class Backup:
    """Keeps one destination up to date.

    All methods belong to the job's thread.

    Args:
        store: the job's.
        destination: the place that receives copies.
        tell: shows a sentence to the person who watches.
    """

    def __init__(self, store: Store, destination: Destination, report: Callable[[str], object]) -> None:
        self._store = store
        self._destination = destination
        self._report = report
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reading: Store | None = None
        self._asked = self._stopped = False
        self._rows = 0
        self._failure: Exception | None = None
        self._reported = False
        self._upto: int | None = None

    def request(self) -> None:
        """Let the destination be brought up to date; returns at once."""
        self._report_failure()
        with self._lock:
            self._asked, self._stopped = True, False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"adagrid {self._destination}", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Bring the destination up to date with a job that has ended; wait as long as there is hope, and tell."""
        self.request()
        rows, since = self._rows, time.monotonic()
        while self._is_busy or (isinstance(self._failure, StoreError) and not isinstance(self._failure, NotAJobError)):
            if not self._is_busy:
                time.sleep(_PAUSE)
                self.request()
            time.sleep(_MOMENT)
            if self._rows != rows:
                rows, since = self._rows, time.monotonic()
            # a try that fails at once is no progress, however long one that is under way may take
            if time.monotonic() - since > (self._destination.patience if self._is_busy else _PATIENCE_AT_LAST):
                break
        complete = not self._is_busy and self._failure is None
        self.stop()
        if complete:
            logger.info("%s is complete", self._destination)
        else:
            upto = "has nothing of it" if self._upto is None else f"holds it up to coordination {self._upto}"
            sentence = (
                f"The job has ended, but its {self._destination} {upto}. Copy it again with adagrid copy, or run the "
                f"job again. The reason: {self._failure or 'it made no progress'}"
            )
            logger.warning("%s", sentence)
            self._report(sentence)

    def stop(self) -> None:
        """End what is under way, soon."""
        with self._lock:
            self._asked, self._stopped = False, True
        since = time.monotonic()
        while self._is_busy and time.monotonic() - since < _PATIENCE:
            reading = self._reading
            if reading is not None:
                reading.interrupt()
            time.sleep(_MOMENT)

    @property
    def _is_busy(self) -> bool:
        return self._thread is not None

    def _work(self) -> None:
        """Do what was asked for until nothing is."""
        while True:
            with self._lock:
                if not self._asked:
                    self._thread = None
                    return
                self._asked = False
            try:
                with closing(self._store.reader()) as source:
                    self._reading = source
                    upto = source.last_coordination()
                    self._destination.save(source, self._advance)
                self._failure, self._upto = None, upto
            except (Exception, KeyboardInterrupt) as error:  # whatever it is, the job goes on; engines say the latter
                if not self._stopped:
                    self._failure = error if isinstance(error, Exception) else StoreError("it was interrupted")
            finally:
                self._reading = None

    def _advance(self, rows: int) -> None:
        self._rows += rows
        if self._stopped:
            raise _StoppedError

    def _report_failure(self) -> None:
        """Tell what went wrong, once, and that it has been mended."""
        failed = self._failure is not None
        if failed and not self._reported:
            sentence = f"{self._destination} failed, and is tried again at every coordination: {self._failure}"
            logger.warning("%s", sentence)
            self._report(sentence)
        elif self._reported and not failed:
            logger.info("%s works again", self._destination)
        self._reported = failed


class _StoppedError(Exception):
    """The job waits no longer."""


def destinations(store: Store, backup: Any, snapshot: Any) -> Sequence[Destination]:
    """Return the places that receive copies of a job.

    Args:
        store: the job's.
        backup: a database, which is brought up to date; None for none.
        snapshot: a file, which is replaced; None for none.

    Raises:
        InvalidInputError: if it is none, or the job's own.
    """
    problems = []
    if backup is not None and not isinstance(backup, (str, PathLike)) and not callable(backup):
        problems.append(f"backup must be a path, a clickhouse:// URL or a function that opens a store; got {backup!r}.")
    if snapshot is not None and not isinstance(snapshot, (str, PathLike)):
        problems.append(f"snapshot must be the path of a file; got {snapshot!r}.")
    if problems:
        raise InvalidInputError(problems)
    places: list[Copy | Snapshot] = [] if backup is None else [Copy(backup)]
    if snapshot is not None:
        places.append(Snapshot(snapshot))
    files = [Path(each.place).resolve() for each in places if isinstance(each.place, (str, Path))]
    if len({*files, Path(store.location).resolve()}) <= len(files):
        raise InvalidInputError(f"backup, snapshot and the job's database {store.location!r} must be different places.")
    return places
