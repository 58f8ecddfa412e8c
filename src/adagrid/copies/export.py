"""Writes a job as it stands to a folder of plain files that last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from adagrid.copies._files import check_writable, give_name, part_of, remove, to_disk
from adagrid.copies.manifest import CONFIG, LAYOUT, MANIFEST, digest, digest_of, tables_of
from adagrid.copies.transfer import transfer
from adagrid.errors import InvalidInputError
from adagrid.records import read_data, read_records
from adagrid.stores import Store
from adagrid.stores._duckdb_files import SUFFIXES, Format, file_path, in_folder
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.schema import VERSION


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
        with _frozen(store, part) as frozen, in_folder(part) as engine:
            record, tables = read_records(frozen)[-1], tables_of(frozen.schema)
            files = {f"{name}.{SUFFIXES[of]}": frozen.write_file(name, part / f"{name}.{SUFFIXES[of]}", of, engine)
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
            to_disk(file)
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
