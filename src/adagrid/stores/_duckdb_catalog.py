"""What a database file may hold: the tables of a job, and nothing that the engine would run.

A file that somebody else sends is a program: a view named like a table reads files, a macro named `abs` changes what
`verify` finds. So everything but the schema's tables, as the schema has them, is refused, and so are sizes that a file
cannot have. Looking runs nothing that the file defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import duckdb

from adagrid.errors import CorruptStoreError, NotAJobError
from adagrid.stores._duckdb_files import TYPES
from adagrid.stores.layout import every_table
from adagrid.stores.schema import Schema, most_rows
from adagrid.stores.tables import Columns, Table, common_tables

# What tables have in common with everything else that a catalog lists, and where it is listed. The functions are named
# in full, for a macro may have their names.
_KINDS = {
    "table": ("duckdb_tables", "table_name"),
    "view": ("duckdb_views", "view_name"),
    "macro": ("duckdb_functions", "function_name"),
    "sequence": ("duckdb_sequences", "sequence_name"),
    "type": ("duckdb_types", "type_name"),
    "index": ("duckdb_indexes", "index_name"),
    "schema": ("duckdb_schemas", "schema_name"),
    "trigger": ("duckdb_triggers", "trigger_name"),
}
if int(duckdb.__version__.partition(".")[0]) < 2:
    del _KINDS["trigger"]
_HOME = "main"
_QUOTED = re.compile(r'(?<!")"([a-z][a-z0-9_]*)"(?!")')
# Texts are compressed, those that a job repeats at every start very much (bytes).
_COMPRESSED, _TEXTS = 16, 2**29


def _listing() -> str:
    """Return the query for everything in the catalog of a file, in columns that do not depend on its kind."""
    parts = []
    for kind, (function, name) in _KINDS.items():
        text, rows = ("sql", "estimated_size") if kind == "table" else ("''", "0")
        own = " and not internal" if kind == "type" else ""  # the engine's own are listed with every database
        parts.append(
            f"select '{kind}' as kind, schema_name as home, {name} as name, {text} as text, {rows} as n from "
            f"system.main.{function}() where database_name <> 'system' and database_name <> 'temp'{own}"
        )
    return " union all ".join(parts)


LISTING = _listing()
"""The query whose rows `Catalog` understands."""


class Catalog:
    """The tables in a file.

    Args:
        rows: what `LISTING` found.
        where: the file, for people.

    Raises:
        NotAJobError: if there is something, but no job.
        CorruptStoreError: if there is anything but tables.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str, str, int]], where: str) -> None:
        self._where = where
        self._texts: dict[str, str] = {}
        self._rows: dict[str, int] = {}
        others = []
        for kind, home, name, text, n in rows:
            if kind == "table" and home == _HOME:
                self._texts[name], self._rows[name] = text, n
            elif (kind, name) != ("schema", _HOME):
                others.append(f"the {kind} {name!r}" if home == _HOME else f"the {kind} {name!r} of {home!r}")
        if (self._texts or others) and "schema" not in self._texts:
            listed = ", ".join(map(repr, sorted(self._texts)[:5])) or ", ".join(sorted(others)[:5])
            raise NotAJobError(
                f"{where!r} is a DuckDB database, but holds no adagrid job (it has the tables {listed}). Give the path "
                "of a new file."
            )
        others += [f"the table {name!r}" for name in self._texts.keys() - every_table()]
        self._refuse("it holds what no job has", others)
        if self._texts:
            self._compare({"schema": common_tables(1, 0)["schema"]})

    def check(self, schema: Schema, size: int) -> None:
        """Refuse tables that are not as a schema has them, and more rows than a file can have.

        Args:
            schema: the job's.
            size: of the file (bytes).

        Raises:
            CorruptStoreError: naming what is wrong.
        """
        self._compare(schema.tables)
        self._refuse(
            "its schema has no such tables", [repr(name) for name in self._texts.keys() - schema.tables.keys()]
        )
        most = most_rows(size)
        if self._rows["schema"] != 1 or sum(self._rows.values()) > most:
            found = ", ".join(f"{n:,} of {name}" for name, n in self._rows.items() if n > 1 and n > most // 10)
            raise CorruptStoreError(
                f"{self._where!r} says that it has more rows than {size:,} bytes can hold ({found or 'of schema'}), so "
                "it is not read. Take another copy."
            )

    def _compare(self, tables: Mapping[Table, Columns]) -> None:
        wrong = [name for name, columns in tables.items() if _normal(self._texts.get(name, "")) != _made(name, columns)]
        told = [f"{name}, which is {self._texts.get(name, 'missing')}" for name in wrong[:3]]
        self._refuse("these tables are not as a job has them", told)

    def _refuse(self, why: str, found: Iterable[str]) -> None:
        listed = sorted(found)
        if listed:
            more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
            raise CorruptStoreError(
                f"{self._where!r} is not opened: {why} ({', '.join(listed[:5])}{more}). Somebody has changed it. Take "
                "another copy."
            )


def text_bytes() -> str:
    """Return the query for how many bytes all texts of a job have, as `n`; they are in the same tables in all jobs."""
    columns = [(name, column) for name, of in common_tables(1, 0).items() for column, kind in of.items() if kind is str]
    parts = [f"select strlen({column}) as n from {name}" for name, column in columns]
    return f"coalesce(sum(n), 0) as n from ({' union all '.join(parts)}) as texts"


def most_text(size: int) -> int:
    """Return how many bytes of text a file of so many bytes may have."""
    return max(_TEXTS, _COMPRESSED * size)


def _made(name: str, columns: Columns) -> str:
    """Return how the engine displays a table that a job has created."""
    return f"CREATE TABLE {name}({', '.join(f'{column} {TYPES[kind].upper()}' for column, kind in columns.items())});"


def _normal(text: str) -> str:
    """Return a table's text without the quotes around names of ours, which not every version of the engine writes."""
    return _QUOTED.sub(r"\1", text)
