"""Tables and columns, the same in every store.

`tiles`          every tile ever created
`results`        the columns of `tiles` and what simulation gave: after a run it alone tells the story
`done`           what became of a tile: refine, deepen, split give its number of children; active 0 when replaced
`steps`          one row per finished step of a zone, written last
`coordinations`  one row per coordination, written when all zones have stopped
`config`         one row per start of a worker: the job's record and the worker's environment
`null_hypos`     the null hypotheses as data
`reports`        one row per thing that a worker did; never read by the run
`logs`           log messages
`schema`         version and columns of this database

Rows are inserted, never updated or deleted. `eligible` means: not in `done`; `active`: not in `done` with
active 0. Step numbers of a zone rise through all coordinations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np

from adagrid.errors import NotAJobError
from adagrid.grid.tiles import tile_columns

VERSION = 1

Table: TypeAlias = Literal[
    "tiles", "results", "done", "steps", "coordinations", "config", "null_hypos", "reports", "logs", "schema"
]
Columns: TypeAlias = Mapping[str, type]

_PLACE: Columns = {
    "coordination_id": np.uint32,
    "zone_id": np.uint32,
    "step_id": np.uint32,
}
_AUTHOR: Columns = {"worker_id": np.uint32, "time": np.float64}
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
    "coordinations": {"coordination_id": np.uint32, "n_zones": np.uint32, **_AUTHOR},
    "config": {"start": np.uint32, **_AUTHOR, "record": str, "environment": str},
    "null_hypos": {"position": np.uint32, "description": str, "definition": str},
    "reports": {**_AUTHOR, "kind": str, **_PLACE, "packet_id": np.uint32, "content": str},
    "logs": {**_AUTHOR, "level": str, "logger": str, "message": str},
    "schema": {"version": np.uint32, "definition": str},
}


# Columns by which every table is ordered.
KEYS: Mapping[Table, tuple[str, ...]] = {
    "tiles": (*_PLACE, "position", "id"),
    "results": (*_PLACE, "position", "id"),
    "done": (*_PLACE, "id"),
    "steps": tuple(_PLACE),
    "coordinations": ("coordination_id",),
    "config": ("start",),
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
        results: columns that simulation adds to a tile, with their types.
    """

    dim: int
    n_nulls: int
    results: Columns

    @property
    def tables(self) -> Mapping[Table, Columns]:
        """Every table with its columns."""
        tiles = {**_PLACE, "position": np.uint32, **tile_columns(self.dim, self.n_nulls), **_AUTHOR}
        return {"tiles": tiles, "results": {**tiles, **self.results}, **_FIXED}

    def dumps(self) -> str:
        """Return the schema as JSON."""
        results = {name: np.dtype(kind).name for name, kind in self.results.items()}
        return json.dumps({"dim": self.dim, "n_nulls": self.n_nulls, "results": results})

    @staticmethod
    def loads(version: int, text: str, where: str) -> Schema:
        """Return the schema that a database was written with.

        Raises:
            NotAJobError: if it was written with another version of the tables.
        """
        if version != VERSION:
            raise NotAJobError(
                f"{where} was written with version {version} of the tables, but this adagrid reads version "
                f"{VERSION}. Use the adagrid that wrote it, or start the job again in a new database."
            )
        fields = json.loads(text)
        results = {str(name): np.dtype(kind).type for name, kind in fields["results"].items()}
        return Schema(int(fields["dim"]), int(fields["n_nulls"]), results)
