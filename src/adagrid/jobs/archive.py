"""Writes jobs down: snapshots in one database file, exports as a folder of plain files.

Everything is written beside its place, brought to the disk, and renamed: what has its name is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from adagrid.errors import InvalidInputError
from adagrid.jobs.manifest import CONFIG, LAYOUT, MANIFEST, digest, digest_of, tables_of
from adagrid.jobs.record import read_data, read_records
from adagrid.jobs.transfer import Advance, check_copy, transfer
from adagrid.stores import Store
from adagrid.stores._duckdb_files import SUFFIXES, Format, file_path
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.schema import VERSION


def write_snapshot(store: Store, path: str | PathLike[str], advance: Advance = lambda _: None) -> None:
    """Write a job as it stands to a DuckDB file, in place of an earlier snapshot.

    Args:
        store: a store with the job, which may be under way.
        path: the file.
        advance: told of progress; what it raises ends the writing.

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


def export(store: Store, folder: str | PathLike[str], of: Format = "parquet") -> None:
    """Write a job as it stands to a new folder: one file per table, its record, and a manifest of them.

    Args:
        store: a store with the job, which may be under way.
        folder: the folder.
        of: "parquet" (compressed with zstd) or "csv" (compressed with gzip).

    Raises:
        InvalidInputError: if the folder exists, or the format is unknown.
        StoreError: if the database fails.
        OSError: if a file cannot be written.
    """
    place = file_path(folder)
    if of not in SUFFIXES:
        raise InvalidInputError(f"format must be 'parquet' or 'csv'; got {of!r}.")
    if place.exists() or not place.parent.is_dir():
        raise InvalidInputError(f"An export goes to a new folder in an existing one; got {str(folder)!r}.")
    check_writable(place.parent)
    part = part_of(place)
    remove(part)
    part.mkdir()
    try:
        with _frozen(store, part) as frozen:
            record, tables = read_records(frozen)[-1], tables_of(frozen.schema)
            files = {f"{name}.{SUFFIXES[of]}": frozen.write_file(name, part / f"{name}.{SUFFIXES[of]}", of)
                     for name in tables}  # fmt: skip
            (part / CONFIG).write_text(json.dumps(_starts(frozen), indent=1))
        manifest: dict[str, Any] = {
            "layout": LAYOUT,
            "job_id": record.job_id,
            "format": of,
            "version": VERSION,
            "schema": json.loads(frozen.schema.dumps()),
            "files": {name: {"rows": rows, "sha256": digest(part / name)} for name, rows in files.items()},
        }
        manifest["files"][CONFIG] = {"sha256": digest(part / CONFIG)}
        (part / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest_of(manifest)}, indent=1))
        for file in part.iterdir():
            _to_disk(file)
        give_name(part, place)
    finally:
        remove(part)


@contextmanager
def _frozen(store: Store, folder: Path) -> Iterator[DuckDBStore]:
    """Yield a DuckDB database with a job as it stands."""
    if isinstance(store, DuckDBStore):
        with store.frozen() as frozen:
            yield frozen
        return
    file = folder / "job.duckdb"
    try:
        with closing(DuckDBStore(file)) as copied:
            transfer(store, copied)
            yield copied
    finally:
        remove(file)


def _starts(store: Store) -> list[dict[str, Any]]:
    """Return what a job wrote down at every start, for people and other programs."""
    config = store.table("config")
    texts = {name: read_data(config[name], store.location) for name in ("record", "environment")}
    return [{str(name): value for name, value in row.items()} for row in config.assign(**texts).to_dict("records")]


def check_writable(folder: Path) -> None:
    """Refuse a folder that this user may not write to, before work is done for it.

    Raises:
        InvalidInputError: if it is one.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInputError(
            f"The folder {str(folder)!r} may not be written to by this user. Give a place in a folder of your own."
        )


def part_of(place: Path) -> Path:
    """Return where something is written before it gets its name."""
    return place.with_name(f".{place.name}.part")


def remove(part: Path) -> None:
    """Remove what was written beside, and what the engine keeps beside that."""
    if part.is_dir():
        shutil.rmtree(part)
    for file in (part, part.with_name(f"{part.name}.wal")):
        with suppress(FileNotFoundError, IsADirectoryError):
            file.unlink()


def give_name(part: Path, place: Path) -> None:
    """Let what was written beside have its name, when it is on the disk."""
    _to_disk(part)
    with suppress(FileNotFoundError):  # a log that another file of this name has left would be taken for this one's
        place.with_name(f"{place.name}.wal").unlink()
    os.replace(part, place)
    _to_disk(place.parent)


def _to_disk(place: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
