"""The texts with which DuckDB writes tables to files and reads them again, exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, TypeAlias

from adagrid.errors import InvalidInputError
from adagrid.stores._clickhouse_url import FORM

Format: TypeAlias = Literal["parquet", "csv"]
SUFFIXES: Mapping[Format, str] = {"parquet": "parquet", "csv": "csv.gz"}

# Numbers are written with as many digits as tell them apart from their neighbours; texts always stand in quotes, so
# that empty ones are no missing values.
_CSV = "delim = ',', quote = '\"', escape = '\"', header = true, compression = 'gzip'"
_LONGEST_LINE = 64 * 2**20  # bytes; a record has the changes of a source tree in it


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def file_path(path: str | PathLike[str]) -> Path:
    """Return the path of a file.

    Raises:
        InvalidInputError: if it is a URL, which is not repeated, for it may hold a password.
    """
    if _URL.match(fspath(path)):
        raise InvalidInputError(
            f"This must be the path of a file, not a URL. Where a database may be on a server, its URL reads {FORM}."
        )
    return Path(path)


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
    plain = quote("".join(f"[{letter}]" if letter in "*?[" else letter for letter in path))  # not a pattern
    if of == "parquet":
        return f"read_parquet({plain})"
    types = ", ".join(f"{quote(name)}: {quote(kind)}" for name, kind in columns.items())
    return (
        f"read_csv({plain}, {_CSV}, columns = {{{types}}}, auto_detect = false, allow_quoted_nulls = false, "
        f"parallel = false, max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE})"
    )


def quote(text: str) -> str:
    """Return a text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def _csv_options() -> str:
    return _CSV.replace(" = ", " ")
