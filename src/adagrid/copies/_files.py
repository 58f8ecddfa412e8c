"""Writes files and folders under a temporary name, and renames them once they are complete and on the disk."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from adagrid.errors import InvalidInputError


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
    """Return the temporary path of a file or folder."""
    return place.with_name(f".{place.name}.part")


def remove(part: Path) -> None:
    """Remove a temporary file or folder, and the log that the database engine writes next to the file."""
    if part.is_dir():
        shutil.rmtree(part)
    for file in (part, part.with_name(f"{part.name}.wal")):
        with suppress(FileNotFoundError, IsADirectoryError):
            file.unlink()


def give_name(part: Path, place: Path) -> None:
    """Rename a temporary file or folder atomically, once it is on the disk."""
    to_disk(part)
    with suppress(FileNotFoundError):  # the engine would read the log of an earlier file of this name as the new file's
        place.with_name(f"{place.name}.wal").unlink()
    os.replace(part, place)
    to_disk(place.parent)


def to_disk(place: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
