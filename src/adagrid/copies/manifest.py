"""What an export says about itself, and whether its folder holds that and nothing else."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from adagrid.errors import CorruptStoreError, NotAJobError
from adagrid.stores import Schema
from adagrid.stores._duckdb_files import Format
from adagrid.stores.schema import LONGEST_DEFINITION, most_rows
from adagrid.stores.tables import Table

MANIFEST = "manifest.json"
CONFIG = "config.json"
LAYOUT = 1


@final
class ListedFile(BaseModel):
    """What a manifest says of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rows: NonNegativeInt = 0
    sha256: str


@final
class Manifest(BaseModel):
    """What an export says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layout: int
    job_id: str
    format: Format
    version: int
    definition: dict[str, Any] = Field(alias="schema")
    files: dict[str, ListedFile]

    def schema_in(self, place: Path) -> Schema:
        """Return the schema of the job.

        Args:
            place: the export's folder, for people.

        Raises:
            NotAJobError: if it is one of another version.
            CorruptStoreError: if no job has such tables.
        """
        return Schema.loads(self.version, json.dumps(self.definition), str(place))


def tables_of(schema: Schema) -> list[Table]:
    """Return the tables that become files; that of the schema becomes a part of the manifest."""
    return [name for name in schema.tables if name != "schema"]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def read_manifest(place: Path) -> Manifest:
    """Return what an export says about itself.

    Raises:
        NotAJobError: if there is none that this version reads.
        CorruptStoreError: if the manifest is damaged.
    """
    file = place / MANIFEST
    if not file.is_file():
        raise NotAJobError(f"{str(place)!r} is no export of a job: it has no {MANIFEST}.")
    if not _is_file(file) or file.stat().st_size > LONGEST_DEFINITION:
        raise CorruptStoreError(f"{str(file)!r} is no manifest of an export: it is a link, or too large.")
    try:
        said = json.loads(file.read_text("utf-8"))
        whole = said.pop("sha256") == digest_of(said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise CorruptStoreError(f"{str(file)!r} is damaged: its checksum is another. Take another copy of the export.")
    if said.get("layout") != LAYOUT:
        raise NotAJobError(
            f"{str(place)!r} is an export of the layout {said.get('layout')}, but this adagrid reads {LAYOUT}. Use "
            "the adagrid that wrote it."
        )
    try:
        return Manifest.model_validate(said)
    except ValueError as error:
        raise CorruptStoreError(f"{str(file)!r} has in it what no job has: {error}") from error


def check_files(place: Path, manifest: Manifest, wanted: set[str]) -> None:
    """Refuse a folder that holds anything but the files of a job, as the manifest has them.

    Raises:
        CorruptStoreError: naming the files that are missing, damaged, too many, or links.
    """
    there = {file.name for file in place.iterdir()} - {MANIFEST}
    others = sorted((there | manifest.files.keys()) - wanted)
    if others:
        raise CorruptStoreError(
            f"{str(place)!r}: {', '.join(map(repr, others[:5]))} {'is' if len(others) == 1 else 'are'} no part of an "
            "export. Remove what was added to the folder, or take another copy of the export."
        )
    links = sorted(name for name in there if not _is_file(place / name))
    if links:
        raise CorruptStoreError(
            f"{str(place)!r}: {', '.join(links)} {'is no file' if len(links) == 1 else 'are no files'} of its own, but "
            "a link, a folder or the like. Take another copy of the export, with its files."
        )
    damaged = sorted(
        name
        for name in wanted
        if name not in manifest.files or name not in there or digest(place / name) != manifest.files[name].sha256
    )
    if damaged:
        raise CorruptStoreError(
            f"{str(place)!r}: {', '.join(damaged)} {'is' if len(damaged) == 1 else 'are'} missing or damaged; the "
            "checksums in the manifest are others. Take another copy of the export."
        )
    for name, listed in manifest.files.items():
        if listed.rows > most_rows((place / name).stat().st_size):
            raise CorruptStoreError(f"{str(place)!r}: {name} cannot have as many rows as the manifest says.")


def _is_file(file: Path) -> bool:
    """Return whether a name is that of a file, and the only one that it has: no link out of the folder."""
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
