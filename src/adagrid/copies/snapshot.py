"""Writes a job as it stands to one database file that others may read."""

from __future__ import annotations

from contextlib import closing
from os import PathLike
from pathlib import Path

from adagrid.copies._files import check_writable, give_name, part_of, remove
from adagrid.copies.transfer import Advance, check_copy, transfer
from adagrid.errors import InvalidInputError
from adagrid.stores import Store
from adagrid.stores._duckdb_files import file_path
from adagrid.stores.duckdb import DuckDBStore


def write_snapshot(store: Store, path: str | PathLike[str], advance: Advance = lambda _: None) -> None:
    """Write a job as it stands to a DuckDB file, in place of an earlier snapshot.

    Args:
        store: a store with the job, which may be under way.
        path: the file.
        advance: called with progress; an error that it raises ends the writing.

    Raises:
        InvalidInputError: if there is anything but an earlier snapshot of the job.
        NotAJobError: if there is a file that is no job.
        StoreError: if a database fails.
        OSError: if the file cannot be written.
    """
    file = file_path(path)
    check_snapshot(file, store)
    part = part_of(file)
    remove(part)
    try:
        if isinstance(store, DuckDBStore):
            store.dump(part)
        else:
            with closing(DuckDBStore(part)) as target:
                transfer(store, target, advance)
        give_name(part, file)
    finally:
        remove(part)


def check_snapshot(path: str | PathLike[str], store: Store | None) -> None:
    """Refuse a path at which there is anything but an earlier snapshot of a job.

    Args:
        path: a file that need not exist.
        store: a store with the job; None for one that is yet to be started.

    Raises:
        InvalidInputError: if there is; also if it is where the job itself is, or in no folder.
        StoreError: if what is there cannot be opened.
    """
    file = file_path(path)
    if file.is_dir() or not file.parent.is_dir():
        raise InvalidInputError(f"A snapshot must be a file in an existing folder; got {str(path)!r}.")
    check_writable(file.parent)
    if not file.exists():
        return
    if store is not None and Path(store.location).exists() and file.samefile(store.location):
        raise InvalidInputError(f"{str(path)!r} is the job's own database. Give the path of another file.")
    with closing(DuckDBStore(file, read_only=True)) as earlier:
        check_copy(earlier, store)
