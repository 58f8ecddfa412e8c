"""Writes files and folders beside their place, and renames them: what has its name is whole, and on the disk."""

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
    to_disk(part)
    with suppress(FileNotFoundError):  # a log that another file of this name has left would be taken for this one's
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
