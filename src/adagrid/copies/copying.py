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
    """Copy a job from one database to another.

    The copy is exact, and is verified. A repeated call copies only new rows. An interrupted copy is a job that can be
    continued; repeat the call to complete it. The job may be running, on a server or as the store of a run in this
    thread.

    Args:
        source: a path of a DuckDB file, the URL of a job on a ClickHouse server, or a store.
        target: a path, URL or store: new, or with an earlier copy of the job.

    Returns:
        The number of rows copied, by table.

    Raises:
        NotAJobError: if the source holds no job.
        InvalidInputError: if the target holds a different job, or a copy that was continued on its own.
        CorruptStoreError: if the job contradicts itself.
        StoreError: if a database fails; rows that were copied stay, and are not copied again.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, db="trial.duckdb").close()
        >>> ada.copy_job("trial.duckdb", "copy.duckdb")["tiles"]
        2
        >>> ada.copy_job("trial.duckdb", "clickhouse://user@host:9440/trial-7?secure=true")  # doctest: +SKIP
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
