"""Brings jobs into databases: from exports, after every file has been checked, and from other databases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from os import PathLike
from pathlib import Path

from adagrid.errors import CorruptStoreError, InvalidInputError, StoreError
from adagrid.jobs.archive import give_name, part_of, remove
from adagrid.jobs.manifest import CONFIG, check_files, read_manifest, tables_of
from adagrid.jobs.run import Run, open_job, open_reading
from adagrid.jobs.transfer import transfer
from adagrid.stores import Store, is_new_file, is_url, open_store
from adagrid.stores._clickhouse_databases import drop_database
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores._duckdb_files import SUFFIXES, check_database, file_path
from adagrid.stores.base import Table
from adagrid.stores.duckdb import DuckDBStore

# The tables that a job writes first.
_FIRST: Sequence[Table] = ("tiles", "null_hypos", "config")


def import_job(folder: str | PathLike[str], db: str | PathLike[str] | Store | None = None) -> Run:
    """Read an export of a job into a database, after every file has been checked, and verify what was read.

    Args:
        folder: what `Run.export` wrote.
        db: a path of a DuckDB file, the URL of a job on a ClickHouse server, None for a database in memory, or a
            store: new, or with an earlier copy of the job, which is completed.

    Returns:
        The job, opened to be read. To continue it, close it and give `db` to ada_validate or ada_calibrate.

    Raises:
        NotAJobError: if the folder is no export, or one of another version.
        CorruptStoreError: if a file is missing or damaged, naming it, or the job contradicts itself.
        InvalidInputError: if the database holds another job.
        StoreError: if the database fails.
    """
    place = file_path(folder)
    _refuse_memory(db)
    if is_new_file(db):
        file = file_path(db)
        _import_as(place, file)
        return open_job(file)
    store = open_store(db)
    try:
        _import_into(place, store)
        return Run(store)
    except BaseException:
        if store is not db:
            store.close()
        raise


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
    _refuse_memory(target)
    read = source if isinstance(source, Store) else open_reading(source)
    try:
        with _written(target) as written:
            copied = transfer(read, written)
            Run(written).verify()
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
        with suppress(StoreError):  # what went wrong first is what is told
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


def _refuse_memory(target: object) -> None:
    if target == ":memory:":
        raise InvalidInputError(
            "A job in memory would be gone with this command. Give the path of a file, or a clickhouse:// URL; in "
            "Python, import_job(folder) without db reads into memory."
        )


def _read_export(place: Path, store: DuckDBStore) -> None:
    """Read an export into an empty database, after every file has been checked against the manifest.

    Raises:
        NotAJobError: if the folder is no export, or one of another version.
        CorruptStoreError: if a file is missing or damaged, naming it, or the tables contradict each other.
    """
    manifest = read_manifest(place)
    schema = manifest.schema_in(place)
    files: dict[Table, str] = {name: f"{name}.{SUFFIXES[manifest.format]}" for name in tables_of(schema)}
    check_files(place, manifest, {*files.values(), CONFIG})
    store.create(schema)
    for name, file in files.items():
        rows = manifest.files[file].rows
        if store.read_file(name, place / file, manifest.format, rows) != rows:
            raise CorruptStoreError(f"{str(place)!r}: {file} has not as many rows as the manifest says.")
    Run(store).verify()


def _import_into(place: Path, target: Store) -> None:
    """Copy an export into an open store, which is empty or holds an earlier copy of the job."""
    with (
        tempfile.TemporaryDirectory(prefix="adagrid-") as temporary,
        closing(DuckDBStore(Path(temporary) / "job.duckdb")) as read,
    ):
        _read_export(place, read)
        transfer(read, target)
    Run(target).verify()


def _import_as(place: Path, file: Path) -> None:
    """Turn an export into a new DuckDB file."""
    check_database(file, read_only=False)
    part = part_of(file)
    remove(part)
    try:
        with closing(DuckDBStore(part)) as store:
            _read_export(place, store)
        give_name(part, file)
    finally:
        remove(part)
