"""Brings exports of jobs into databases, after every file has been checked."""

from __future__ import annotations

import tempfile
from contextlib import closing
from os import PathLike
from pathlib import Path

from adagrid.copies._files import give_name, part_of, remove
from adagrid.copies._targets import refuse_memory
from adagrid.copies.manifest import CONFIG, check_files, read_manifest, tables_of
from adagrid.copies.transfer import transfer
from adagrid.errors import CorruptStoreError
from adagrid.runtime.verification import verify_job
from adagrid.stores import Store, is_new_file, open_store
from adagrid.stores._duckdb_files import SUFFIXES, check_database, file_path, in_folder
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.tables import Table


def import_export(folder: str | PathLike[str], db: str | PathLike[str] | Store | None = None) -> Store:
    """Read an export of a job into a database, and verify what was read.

    Args:
        folder: the export.
        db: see `adagrid.import_job`.

    Returns:
        A store with the job.
    """
    place = file_path(folder)
    refuse_memory(db)
    if is_new_file(db):
        file = file_path(db)
        _import_as(place, file)
        return DuckDBStore(file, read_only=True)
    store = open_store(db)
    try:
        _import_into(place, store)
        return store
    except BaseException:
        if store is not db:
            store.close()
        raise


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
    with in_folder(place) as engine:
        for name, file in files.items():
            rows = manifest.files[file].rows
            if store.read_file(name, place / file, manifest.format, rows, engine) != rows:
                raise CorruptStoreError(f"{str(place)!r}: {file} has not as many rows as the manifest says.")
    verify_job(store)


def _import_into(place: Path, target: Store) -> None:
    """Copy an export into an open store, which is empty or holds an earlier copy of the job."""
    with (
        tempfile.TemporaryDirectory(prefix="adagrid-") as temporary,
        closing(DuckDBStore(Path(temporary) / "job.duckdb")) as read,
    ):
        _read_export(place, read)
        transfer(read, target)
    verify_job(target)


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
