"""Tables and columns, the same in every store.

All jobs:
`tiles`          every tile ever created; interpolated jobs: the grid
`done`           what became of a tile or cell: refine, deepen, split give its number of children; active 0 when
                 replaced
`certificate`    what a fresh pass, whose simulations chose nothing, gave: the columns of `results` for active tiles
                 (classic), the columns of `cells` and what is certified of them (interpolated)
`lines`          what simulations on lines of three points say against the declared family, before anything is planned
`spots`          how often events occur at points between the certified ones, and how often they may
`steps`          one row per finished step of a zone, written last; n_tiles counts its tiles or points
`coordinations`  one row per coordination, written when all zones have stopped; kind says what it begins: "search" or
                 "certify" (classic), "pilot" or "pass" (interpolated)
`config`         one row per start, and per worker that joined it: the job's record and the process's environment
`null_hypos`     the null hypotheses as data
`reports`        one row per thing that a worker did; never read by the run
`logs`           log messages
`schema`         version and columns of this database

Classic jobs, which simulate tiles at their centres:
`results`        the columns of `tiles` and what simulation gave: after a search it alone tells the story

Interpolated jobs, which simulate points and certify cells between them, one stage per coordination:
`points`         every point that a stage asks for
`pilot`          the columns of `points` and what simulation gave for those of pilots, which inform plans only
`vertices`       the same for those of passes, which cells are certified from
`cells`          every cell that a pass plans: a part of a tile or of a cell that it replaces

Rows are inserted, never updated or deleted. `eligible` means: not in `done`; `active`, or in force: not in `done` with
active 0. Rows that simulation gave have the column `design`: the number of the version of the design that was
simulated, as the records in `config` have it; an accepted change has the next number. Step numbers of a zone rise
through all coordinations. An interpolated stage is begun by its row in `coordinations`, written after its points and
cells; what a begun stage has not finished yet is not wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final

import numpy as np

from adagrid.errors import CorruptStoreError, NotAJobError
from adagrid.grid.cells import cell_columns
from adagrid.grid.points import point_columns
from adagrid.grid.tiles import tile_columns

VERSION = 5

# What the definition of a job's tables may say: names become parts of statements, and numbers columns in memory.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ADDED = {np.dtype(kind).name: kind for kind in (np.uint64, np.int64, np.uint32, np.uint8, np.float64, np.float32)}
_MOST_DIMENSIONS, _MOST_COLUMNS = 1000, 100_000
LONGEST_DEFINITION = 2**24
"""Characters of a definition that are read."""
# A row has an id of eight bytes or a time, neither of which can be compressed much; a few rows may look like more.
_BYTES_OF_ROW, _FEW_ROWS = 4, 10_000

Method: TypeAlias = Literal["classic", "interpolated"]
Table: TypeAlias = Literal[
    "tiles",
    "results",
    "points",
    "pilot",
    "vertices",
    "cells",
    "certificate",
    "done",
    "lines",
    "spots",
    "steps",
    "coordinations",
    "config",
    "null_hypos",
    "reports",
    "logs",
    "schema",
]
Columns: TypeAlias = Mapping[str, type]

_PLACE: Columns = {
    "coordination_id": np.uint32,
    "zone_id": np.uint32,
    "step_id": np.uint32,
}
_AUTHOR: Columns = {"worker_id": np.uint32, "time": np.float64}
# Of rows that simulation gave: which version of the design was simulated, as the records in `config` number them.
_DESIGN: Columns = {"design": np.uint32}
# Columns that may differ between two runs of the same job.
INCIDENTAL = tuple(_AUTHOR)

_FIXED: Mapping[Table, Columns] = {
    "done": {
        "id": np.uint64,
        **_PLACE,
        "active": np.uint8,
        "refine": np.uint32,
        "deepen": np.uint32,
        "split": np.uint32,
        **_AUTHOR,
    },
    "steps": {**_PLACE, "n_tiles": np.uint64, "n_done": np.uint64, **_AUTHOR},
    "coordinations": {"coordination_id": np.uint32, "kind": str, "n_zones": np.uint32, **_AUTHOR},
    "config": {"start": np.uint32, **_AUTHOR, "record": str, "environment": str},
    "null_hypos": {"position": np.uint32, "description": str, "definition": str},
    "reports": {**_AUTHOR, "kind": str, **_PLACE, "packet_id": np.uint32, "content": str},
    "logs": {**_AUTHOR, "level": str, "logger": str, "message": str},
    "schema": {"version": np.uint32, "definition": str},
}

# Tables whose rows have a place, a position there and an id.
_PLACED: tuple[Table, ...] = (
    "tiles", "results", "points", "pilot", "vertices", "cells", "certificate", "lines", "spots",
)  # fmt: skip

# Tables that simulation fills, by method.
SIMULATED: Mapping[Method, tuple[Table, ...]] = {
    "classic": ("results", "certificate"),
    "interpolated": ("pilot", "vertices"),
}

# Columns by which every table is ordered.
KEYS: Mapping[Table, tuple[str, ...]] = {
    **dict.fromkeys(_PLACED, (*_PLACE, "position", "id")),
    "done": (*_PLACE, "id"),
    "steps": tuple(_PLACE),
    "coordinations": ("coordination_id",),
    "config": ("start", "worker_id"),
    "null_hypos": ("position",),
    "reports": ("time", "worker_id", "kind"),
    "logs": ("time", "worker_id"),
    "schema": ("version",),
}


@final
@dataclass(frozen=True)
class Schema:
    """The shape of one job's tables.

    Args:
        dim: parameters.
        n_nulls: null hypotheses.
        results: columns that simulation adds to a tile (classic) or certification to a cell (interpolated), with
            their types.
        method: "classic" keeps tiles and results, "interpolated" points and cells.
        pilot: columns that simulation adds to a point of a pilot; interpolated only.
        vertices: columns that simulation adds to a point of a pass; interpolated only.
    """

    dim: int
    n_nulls: int
    results: Columns
    method: Method = field(default="classic", kw_only=True)
    pilot: Columns = field(default_factory=dict, kw_only=True)
    vertices: Columns = field(default_factory=dict, kw_only=True)

    @property
    def tables(self) -> Mapping[Table, Columns]:
        """Every table with its columns."""
        tiles = _placed(tile_columns(self.dim, self.n_nulls))
        common: dict[Table, Columns] = {
            "lines": {**_placed(line_columns(self.dim, self.n_nulls)), **_DESIGN},
            "spots": {**_placed(spot_columns(self.dim, self.n_nulls)), **_DESIGN},
            **_FIXED,
        }
        if self.method == "classic":
            results = {**tiles, **_DESIGN, **self.results}
            return {"tiles": tiles, "results": results, "certificate": results, **common}
        points = _placed(point_columns(self.dim, self.n_nulls))
        cells = _placed(cell_columns(self.dim, self.n_nulls))
        return {
            "tiles": tiles,
            "points": points,
            "pilot": {**points, **_DESIGN, **self.pilot},
            "vertices": {**points, **_DESIGN, **self.vertices},
            "cells": cells,
            "certificate": {**cells, **self.results},
            **common,
        }

    def dumps(self) -> str:
        """Return the schema as JSON."""
        added = {
            group: {name: np.dtype(kind).name for name, kind in columns.items()}
            for group, columns in (("results", self.results), ("pilot", self.pilot), ("vertices", self.vertices))
        }
        return json.dumps({"dim": self.dim, "n_nulls": self.n_nulls, "method": self.method, **added})

    @staticmethod
    def loads(version: int, text: str, where: str) -> Schema:
        """Return the schema that a database was written with.

        Raises:
            NotAJobError: if it was written with another version of the tables.
            CorruptStoreError: if no job has such tables.
        """
        if version != VERSION:
            raise NotAJobError(
                f"{where} was written with version {version} of the tables, but this adagrid reads version "
                f"{VERSION}. Use the adagrid that wrote it, or start the job again in a new database."
            )
        try:
            schema = _defined(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptStoreError(
                f"{where}: its definition is of tables that no job has ({type(error).__name__}: {error}). Take "
                "another copy."
            ) from error
        return schema


def _defined(fields: Mapping[str, Any]) -> Schema:
    """Return the schema that a definition describes.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it describes none.
    """
    dim, n_nulls, method = fields["dim"], fields["n_nulls"], fields["method"]
    if type(dim) is not int or type(n_nulls) is not int or not (0 < dim <= _MOST_DIMENSIONS >= n_nulls >= 0):
        raise ValueError(f"dim={dim!r}, n_nulls={n_nulls!r}")
    if method not in ("classic", "interpolated"):
        raise ValueError(f"method={method!r}")
    results, pilot, vertices = (_added(fields[group]) for group in ("results", "pilot", "vertices"))
    bare = Schema(dim, n_nulls, {}, method=method).tables
    own: dict[Table, Columns] = {"pilot": pilot, "vertices": vertices} if method == "interpolated" else {}
    for name, columns in {**own, "certificate": results}.items():
        if twice := columns.keys() & bare[name].keys():
            raise ValueError(f"{name} has {sorted(twice)} twice")
    return Schema(dim, n_nulls, results, method=method, pilot=pilot, vertices=vertices)


def _added(columns: Mapping[str, str]) -> Columns:
    """Return the columns that a kind of job adds, from their names and the names of their types."""
    if len(columns) > _MOST_COLUMNS:
        raise ValueError(f"{len(columns)} columns")
    if strange := [name for name in columns if not _NAME.fullmatch(name)]:
        raise ValueError(f"columns with the names {strange[:5]}")
    return {name: _ADDED[kind] for name, kind in columns.items()}


def most_rows(size: int) -> int:
    """Return how many rows a file of so many bytes may have."""
    return size // _BYTES_OF_ROW + _FEW_ROWS


def line_columns(dim: int, n_nulls: int) -> Columns:
    """Return the columns that describe a line and what betting on its simulations gave."""
    return {
        "id": np.uint64,
        **{f"theta{i}": np.float64 for i in range(dim)},
        **{f"half{i}": np.float64 for i in range(dim)},
        **{f"null_truth{i}": np.uint8 for i in range(n_nulls)},
        "n_sims": np.int64,
        "log_wealth": np.float64,
        **{f"share{i}": np.float64 for i in range(3)},
        "allowed": np.float64,
        "ties": np.int64,
    }


def spot_columns(dim: int, n_nulls: int) -> Columns:
    """Return the columns that describe a point of the last look and what was counted there."""
    return {
        "id": np.uint64,
        **{f"theta{i}": np.float64 for i in range(dim)},
        **{f"null_truth{i}": np.uint8 for i in range(n_nulls)},
        "n_sims": np.int64,
        "events": np.int64,
        "ties": np.int64,
        "allowed": np.float64,
        "computed": np.uint8,
    }


def _placed(columns: Columns) -> Columns:
    """Return the columns of a table whose rows have a place, a position there and an author."""
    return {**_PLACE, "position": np.uint32, **columns, **_AUTHOR}
