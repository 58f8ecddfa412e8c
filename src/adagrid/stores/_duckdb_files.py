"""Engines that reach no more than they must, and the texts with which they write and read files, exactly."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb
import numpy as np

from adagrid.errors import InvalidInputError, NotAJobError, StoreError
from adagrid.stores._clickhouse_url import FORM

Format: TypeAlias = Literal["parquet", "csv"]
SUFFIXES: Mapping[Format, str] = {"parquet": "parquet", "csv": "csv.gz"}

TYPES: Mapping[type, str] = {
    np.uint64: "ubigint",
    np.int64: "bigint",
    np.uint32: "uinteger",
    np.uint8: "utinyint",
    np.float64: "double",
    np.float32: "float",
    str: "varchar",
}
"""What the engine calls the types of columns."""

# Numbers are written with as many digits as distinguish them from their neighbours; texts always stand in quotes, so
# that empty ones are no missing values.
_CSV = "delim = ',', quote = '\"', escape = '\"', header = true, compression = 'gzip'"
_LONGEST_LINE = 64 * 2**20  # bytes; a record has the changes of a source tree in it


# What the engine may hold in memory of a file; beyond it, it uses a folder next to the file. Threads need shares of it.
_MEMORY, _THREADS = "400MB", 4
# An engine with these settings touches no file but its database and what belongs to it, loads nothing and asks nobody
# on the network. What a database has in it can change none of this.
_CONFINED: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
}
_OF_FILES = {"memory_limit": _MEMORY, "threads": str(min(_THREADS, os.cpu_count() or 1))}

# Texts with a name and a colon in front are addresses to many libraries; one letter is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+._-]+):(/?)")


def file_path(path: str | PathLike[str]) -> Path:
    """Return the absolute path of a file or folder that a person gave, with `~` for the home folder.

    Everything that takes a path calls this once, when it is given: a folder that becomes the current one later changes
    nothing.

    Raises:
        InvalidInputError: if it is no path but an address, which is not repeated, for it may hold a password; or if
            there is no such home folder.
    """
    text = fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputError(f"A path must be a text that is not empty; got {text!r}.")
    if found := _ADDRESS.match(text):
        if found[2]:
            raise InvalidInputError(
                "This must be the path of a file, not a URL. Where a database may be on a server, its URL reads "
                f"{FORM}."
            )
        raise InvalidInputError(
            f"This must be the path of a file, but begins with {found[1]!r} and a colon, as the address of a service "
            f"does, and nothing is asked of any. If a file has such a name, write ./ before it. A job on a server has "
            f"the URL {FORM}."
        )
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidInputError(f"{text!r} begins with ~ and no home folder is known: {error}.") from error


def log_of(file: Path) -> Path:
    """Return where the engine has the write-ahead log of a database."""
    return file.with_name(f"{file.name}.wal")


def check_database(file: Path, *, read_only: bool) -> bool:
    """Return whether a database is yet to be created; refuse what can be none before the engine sees it.

    Raises:
        NotAJobError: if there is nothing to read.
        InvalidInputError: if it is a folder, or in none.
        StoreError: if this user may not look at it, or it is neither a file nor something that could become one.
    """
    shown = str(file)
    if "?" in shown:  # the engine has the log of a file elsewhere, as if options of a URL followed
        raise InvalidInputError(f"The path of a database may not have a question mark; got {shown!r}. Rename it.")
    try:
        found = [each for each in (file, log_of(file)) if each.exists() or each.is_symlink()]
        if file.is_dir():
            raise InvalidInputError(
                f"db must be a file, but {shown!r} is a folder. Give a file in it, such as "
                f"{str(file / 'job.duckdb')!r}."
            )
        strange = [str(each) for each in found if not each.is_file() or (each != file and each.is_symlink())]
        if strange:
            raise NotAJobError(
                f"{strange[0]!r} is no file but a link, a pipe or the like. Give the path of a job's file."
            )
        if file not in found and read_only:
            raise NotAJobError(f"There is no database at {shown!r}.")
        if not file.parent.is_dir():
            raise InvalidInputError(f"db must be a file in an existing folder; got {shown!r}. Create the folder first.")
        if file in found and not os.access(file, os.R_OK if read_only else os.R_OK | os.W_OK):
            raise StoreError(
                f"{shown!r} may not be {'read' if read_only else 'written'} by this user. Change its permissions, or "
                "copy it to a folder of your own."
            )
        if not read_only and not os.access(file.parent, os.W_OK):
            raise StoreError(
                f"{shown!r} is in a folder that this user may not write to: {str(file.parent)!r}. To continue the job, "
                "copy it to a folder of your own; to read it, use adagrid.open_job or adagrid show."
            )
    except OSError as error:
        raise StoreError(f"{shown!r} cannot be opened: {error.strerror or error}.") from error
    return file not in found


def connect(path: str, *, read_only: bool, in_memory: bool) -> Any:
    """Open a database with an engine that touches no other file.

    Args:
        path: the file.
        read_only: whether nothing may be written.
        in_memory: whether it is in memory; what a job needs of a file is in its frontier, and the engine would fill the
            machine's memory with the rest.
    """
    settings = {**_CONFINED, "enable_external_access": "false", "lock_configuration": "true"}
    settings |= {"preserve_insertion_order": "false"}
    if not read_only:
        settings["checkpoint_threshold"] = "256MB"
    return duckdb.connect(path, read_only=read_only, config=settings if in_memory else settings | _OF_FILES)


@contextmanager
def in_folder(folder: Path) -> Iterator[Any]:
    """Yield an engine without a database that reads and writes files of one folder, and no others."""
    with closing(duckdb.connect(":memory:", config={**_CONFINED, **_OF_FILES, "temp_directory": ""})) as connection:
        here = str(folder.absolute())
        allowed = ", ".join(quote(path) for path in (here, _literal(here)))  # as it is written to, and as it is read
        connection.execute(
            f"set allowed_directories = [{allowed}]; set enable_external_access = false; set lock_configuration = true"
        )
        yield connection


def write_text(query: str, path: str, of: Format, columns: Mapping[str, str]) -> str:
    """Return the statement that writes the rows of a query to a file.

    Args:
        query: a query.
        path: the file.
        of: its format.
        columns: the engine's types of the columns.
    """
    how = "format parquet, compression zstd"
    if of == "csv":
        texts = [name for name, kind in columns.items() if kind == "varchar"]
        quoted = f", force_quote ({', '.join(texts)})" if texts else ""
        how = f"format csv, {_csv_options()}{quoted}"
    return f"copy ({query}) to {quote(path)} ({how})"


def read_text(path: str, of: Format, columns: Mapping[str, str]) -> str:
    """Return the expression for the rows of such a file."""
    plain = quote(_literal(path))
    if of == "parquet":
        return f"read_parquet({plain}, hive_partitioning = false)"
    types = ", ".join(f"{quote(name)}: {quote(kind)}" for name, kind in columns.items())
    return (
        f"read_csv({plain}, {_CSV}, columns = {{{types}}}, auto_detect = false, allow_quoted_nulls = false, "
        f"parallel = false, max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE})"
    )


def _literal(path: str) -> str:
    """Return the pattern that only one path matches."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


def quote(text: str) -> str:
    """Return a text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def _csv_options() -> str:
    return _CSV.replace(" = ", " ")
