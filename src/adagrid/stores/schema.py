"""The shape of one job's tables, the same in every store.

All jobs:
`tiles`          every tile ever created; with cells: the grid
`done`           what became of a tile or cell: refine, deepen, split give its number of children; active 0 when
                 replaced
`lines`          what simulations on lines of three points say against the declared family, before anything is planned
`spots`          how often events occur at points between the certified ones, and how often they may
`steps`          one row per finished step of a zone, written last; n_tiles counts its tiles or points
`coordinations`  one row per coordination, written when all zones have stopped; kind says what it begins: "search" or
                 "certify" (tiles), "pilot" or "pass" (cells)
`config`         one row per start, and per worker that joined it: the job's record and the process's environment
`null_hypos`     the null hypotheses as data
`reports`        one row per thing that a worker did; never read by the run
`logs`           log messages
`schema`         version and columns of this database

The tables of a method are described by its layout (`adagrid.stores.layouts`).

Rows are inserted, never updated or deleted. `eligible` means: not in `done`; `active`, or in force: not in `done` with
active 0. Rows that simulation gave have the column `design`: the number of the version of the design that was
simulated, as the records in `config` have it; an accepted change has the next number. Step numbers of a zone rise
through all coordinations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from adagrid.errors import CorruptStoreError, NotAJobError
from adagrid.stores.layout import Layout, layout_named
from adagrid.stores.tables import Columns, Table, common_tables

VERSION = 6

# What the definition of a job's tables may say: names become parts of statements, and numbers columns in memory.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ADDED = {np.dtype(kind).name: kind for kind in (np.uint64, np.int64, np.uint32, np.uint8, np.float64, np.float32)}
_MOST_DIMENSIONS, _MOST_COLUMNS = 1000, 100_000
LONGEST_DEFINITION = 2**24
"""Characters of a definition that are read."""
# A row has an id of eight bytes or a time, neither of which can be compressed much; a few rows may look like more.
_BYTES_OF_ROW, _FEW_ROWS = 4, 10_000


@final
@dataclass(frozen=True)
class Schema:
    """The shape of one job's tables.

    Args:
        dim: number of parameters.
        n_nulls: number of null hypotheses.
        layout: the tables of the job's method.
        added: the columns that simulation or certification adds to the rows of tables, by table.
    """

    dim: int
    n_nulls: int
    layout: Layout
    added: Mapping[Table, Columns] = field(default_factory=dict)

    @property
    def tables(self) -> Mapping[Table, Columns]:
        """Every table with its columns."""
        own = self.layout.tables(self.dim, self.n_nulls, self.added)
        return {**own, **common_tables(self.dim, self.n_nulls)}

    def dumps(self) -> str:
        """Return the schema as JSON."""
        added = {
            table: {name: np.dtype(kind).name for name, kind in columns.items()}
            for table, columns in self.added.items()
        }
        return json.dumps({"dim": self.dim, "n_nulls": self.n_nulls, "layout": self.layout.name, "added": added})

    @staticmethod
    def loads(version: int, text: str, where: str) -> Schema:
        """Return the schema that a database was written with.

        Raises:
            NotAJobError: if it was written with another version of the tables, or by a method that is not imported.
            CorruptStoreError: if no job has such tables.
        """
        if version != VERSION:
            raise NotAJobError(
                f"{where} was written with version {version} of the tables, but this adagrid reads version "
                f"{VERSION}. Use the adagrid that wrote it, or start the job again in a new database."
            )
        try:
            return _defined(json.loads(text), where)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptStoreError(
                f"{where}: its definition is of tables that no job has ({type(error).__name__}: {error}). Take "
                "another copy."
            ) from error


def _defined(fields: Mapping[str, Any], where: str) -> Schema:
    """Return the schema that a definition describes.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it describes none.
        NotAJobError: if its layout is not imported.
    """
    if strange := fields.keys() - {"dim", "n_nulls", "layout", "added"}:
        raise ValueError(f"it says {sorted(strange)}")
    dim, n_nulls, name = fields["dim"], fields["n_nulls"], fields["layout"]
    if type(dim) is not int or type(n_nulls) is not int or not (0 < dim <= _MOST_DIMENSIONS >= n_nulls >= 0):
        raise ValueError(f"dim={dim!r}, n_nulls={n_nulls!r}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"layout={name!r}")
    try:
        layout = layout_named(name)
    except KeyError as error:
        raise NotAJobError(
            f"{where} was written by a method whose tables are called {name!r}, which adagrid does not have. Import "
            "the module that defines the method first."
        ) from error
    added = {table: _typed(columns) for table, columns in fields["added"].items()}
    if added.keys() != set(layout.extended):
        raise ValueError(f"columns are added to {sorted(added)}")
    bare = Schema(dim, n_nulls, layout).tables
    for table, columns in added.items():
        if twice := columns.keys() & bare[table].keys():
            raise ValueError(f"{table} has {sorted(twice)} twice")
    return Schema(dim, n_nulls, layout, added)


def _typed(columns: Mapping[str, str]) -> Columns:
    """Return columns from their names and the names of their types."""
    if len(columns) > _MOST_COLUMNS:
        raise ValueError(f"{len(columns)} columns")
    if strange := [name for name in columns if not _NAME.fullmatch(name)]:
        raise ValueError(f"columns with the names {strange[:5]}")
    return {name: _ADDED[kind] for name, kind in columns.items()}


def most_rows(size: int) -> int:
    """Return how many rows a file of so many bytes may have."""
    return size // _BYTES_OF_ROW + _FEW_ROWS
