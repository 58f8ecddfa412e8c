"""Copies a job from one database to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from adagrid.copies._targets import refuse_memory
from adagrid.copies.transfer import transfer
from adagrid.errors import InvalidInputError, StoreError
from adagrid.runtime.verification import verify_job
from adagrid.stores import Store, is_new_file, is_url, open_store
from adagrid.stores._clickhouse_databases import drop_database
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores._duckdb_files import file_path
from adagrid.stores.open import open_reading
from adagrid.stores.tables import Table

# The tables that a job writes first.
_FIRST: Sequence[Table] = ("tiles", "null_hypos", "config")


def copy_job(source: str | PathLike[str] | Store, target: str | PathLike[str] | Store) -> Mapping[Table, int]:
    """Copy a job from one database to another, exactly, and verify the copy.

    Repeated, it copies only what is new. Cut short, it leaves a job that can be continued, and is completed when it
    is repeated. The job may be under way meanwhile, on a server or as the store of a run in this thread.

    Args:
        source: a path of a DuckDB file, the URL of a job on a ClickHouse server, or a store.
        target: the same: new, or with an earlier copy of the job.

    Returns:
        How many rows of every table were copied.

    Raises:
        NotAJobError: if there is no job to copy.
        InvalidInputError: if the target holds another job, or the same one that went on by itself.
        CorruptStoreError: if the job contradicts itself.
        StoreError: if a database fails; what was copied stays, and is not copied again.
    """
    if _same_place(source, target):
        raise InvalidInputError("A job cannot be copied onto itself; source and target are the same.")
    refuse_memory(target)
    read = source if isinstance(source, Store) else open_reading(source)
    try:
        with _written(target) as written:
            copied = transfer(read, written)
            verify_job(written)
    finally:
        if read is not source:
            read.close()
    return copied


@contextmanager
def _written(target: str | PathLike[str] | Store) -> Iterator[Store]:
    """Yield a store to copy to, and leave nothing behind that was created for it if no row was copied."""
    is_file = is_new_file(target)
    store = open_store(target)
    began, empty = store.exists, False
    try:
        yield store
    except BaseException:
        with suppress(StoreError):  # the first error is the one to report
            empty = not began and not (store.exists and any(len(store.table(name)) for name in _FIRST))
        raise
    finally:
        if store is not target:
            store.close()
        if empty and is_file:
            Path(store.location).unlink(missing_ok=True)
        elif empty and is_url(target):
            with suppress(StoreError):
                drop_database(read_url(store.location))


def _same_place(source: object, target: object) -> bool:
    if not isinstance(source, (str, PathLike)) or not isinstance(target, (str, PathLike)):
        return source is target
    if is_url(source) or is_url(target):
        return source == target
    return file_path(source).resolve() == file_path(target).resolve()
