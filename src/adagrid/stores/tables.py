"""The tables that every job has, and the kinds of columns that tables are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

Table: TypeAlias = str
"""The name of a table."""
Columns: TypeAlias = Mapping[str, type]
"""The types of columns, by name."""

STEP_KEY: Columns = {
    "coordination_id": np.uint32,
    "zone_id": np.uint32,
    "step_id": np.uint32,
}
"""The columns of `StepKey`."""
_AUTHOR: Columns = {"worker_id": np.uint32, "time": np.float64}
DESIGN: Columns = {"design": np.uint32}
"""Of rows that simulation gave: the version of the design, as the records in `config` number them."""
INCIDENTAL = tuple(_AUTHOR)
"""Columns that may differ between two runs of the same job."""

_FIXED: Mapping[Table, Columns] = {
    "done": {
        "id": np.uint64,
        **STEP_KEY,
        "active": np.uint8,
        "refine": np.uint32,
        "deepen": np.uint32,
        "split": np.uint32,
        **_AUTHOR,
    },
    "steps": {**STEP_KEY, "n_tiles": np.uint64, "n_done": np.uint64, **_AUTHOR},
    "coordinations": {"coordination_id": np.uint32, "kind": str, "n_zones": np.uint32, **_AUTHOR},
    "config": {"start": np.uint32, **_AUTHOR, "record": str, "environment": str},
    "null_hypos": {"position": np.uint32, "description": str, "definition": str},
    "reports": {**_AUTHOR, "kind": str, **STEP_KEY, "packet_id": np.uint32, "content": str},
    "logs": {**_AUTHOR, "level": str, "logger": str, "message": str},
    "schema": {"version": np.uint32, "definition": str},
}

PLACED_KEY = (*STEP_KEY, "position", "id")
"""The columns by which tables are ordered whose rows have a step, a position there and an id."""
# Columns by which the other tables are ordered.
_KEYS: Mapping[Table, tuple[str, ...]] = {
    "done": (*STEP_KEY, "id"),
    "steps": tuple(STEP_KEY),
    "coordinations": ("coordination_id",),
    "config": ("start", "worker_id"),
    "null_hypos": ("position",),
    "reports": ("time", "worker_id", "kind"),
    "logs": ("time", "worker_id"),
    "schema": ("version",),
}


def key_of(name: Table) -> tuple[str, ...]:
    """Return the columns by which a table is ordered."""
    return _KEYS.get(name, PLACED_KEY)


def common_tables(dim: int, n_nulls: int) -> dict[Table, Columns]:
    """Return the tables that every job has besides those of its layout."""
    return {
        "lines": placed({**_line_columns(dim, n_nulls), **DESIGN}),
        "spots": placed({**_spot_columns(dim, n_nulls), **DESIGN}),
        **_FIXED,
    }


def _line_columns(dim: int, n_nulls: int) -> Columns:
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


def _spot_columns(dim: int, n_nulls: int) -> Columns:
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


def placed(columns: Columns) -> Columns:
    """Return the columns of a table whose rows have a step, a position there and an author."""
    return {**STEP_KEY, "position": np.uint32, **columns, **_AUTHOR}
