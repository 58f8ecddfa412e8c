"""What the rounds of a job by interpolation have found: read from its tables, or carried on with what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import pandas as pd

from adagrid._typing import IdArray
from adagrid.grid.cells import Cells
from adagrid.grid.points import Points
from adagrid.methods.cells.algorithm import RoundKind, Simulated, State
from adagrid.stores import Schema, Store
from adagrid.stores.tables import INCIDENTAL, Columns, Table

Rows: TypeAlias = Mapping[Table, pd.DataFrame]
_TABLES: Sequence[Table] = ("pilot", "vertices", "certificate")


@final
@dataclass(frozen=True)
class FinishedRounds:
    """What finished rounds have found.

    Args:
        schema: the job's.
        kinds: the kinds of the rounds.
        rows: the rows of `pilot` and `vertices`, and of `certificate` for the cells in force.
    """

    schema: Schema
    kinds: Sequence[RoundKind]
    rows: Rows

    @staticmethod
    def nothing(schema: Schema) -> FinishedRounds:
        """Return what a job without rounds has found."""
        none = {name: pd.DataFrame(columns=list(schema.tables[name])) for name in _TABLES}
        return FinishedRounds(schema, [], _typed(none, schema))

    @staticmethod
    def read(store: Store) -> FinishedRounds:
        """Read what all rounds of a job have found."""
        rows: Rows = {
            "pilot": store.table("pilot"),
            "vertices": store.table("vertices"),
            "certificate": store.results("certificate", active=True),
        }
        return FinishedRounds(store.schema, store.table("coordinations")["kind"].tolist(), _typed(rows, store.schema))

    @property
    def state(self) -> State:
        """What was found, as algorithms want it."""
        certificate = self.rows["certificate"]
        return State(
            rounds=self.kinds,
            pilot=_points_of(self.rows["pilot"], self.schema.added["pilot"]),
            vertices=self.vertices,
            cells=Cells.from_frame(certificate),
            certificate={
                name: certificate[name].to_numpy(kind) for name, kind in self.schema.added["certificate"].items()
            },
        )

    @property
    def vertices(self) -> Simulated:
        """The simulated points of passes."""
        return _points_of(self.rows["vertices"], self.schema.added["vertices"])

    def ids(self, *tables: Table) -> IdArray:
        """Return the ids of rows."""
        return pd.concat([self.rows[name]["id"] for name in tables]).to_numpy("uint64")

    def with_round(self, kind: RoundKind) -> FinishedRounds:
        """Return what was found with one more round, which has no rows yet."""
        return FinishedRounds(self.schema, [*self.kinds, kind], self.rows)

    def with_rows(self, rows: Rows) -> FinishedRounds:
        """Return what was found with more rows; cells that they are a part of are no longer in force."""
        joined = dict(self.rows)
        for name, frame in _typed(rows, self.schema).items():
            earlier = joined[name]
            if name == "certificate":
                earlier = earlier[~earlier["id"].isin(frame["parent_id"])]
            joined[name] = pd.concat([earlier, frame], ignore_index=True)
        return FinishedRounds(self.schema, self.kinds, joined)


def _typed(rows: Rows, schema: Schema) -> Rows:
    """Return rows as they are when they are read, without who wrote them, when, and with which version of a design."""
    apart = (*INCIDENTAL, "design")
    columns = {name: {c: kind for c, kind in schema.tables[name].items() if c not in apart} for name in rows}
    return {
        name: pd.DataFrame({column: frame[column].to_numpy(kind) for column, kind in columns[name].items()})
        for name, frame in rows.items()
    }


def _points_of(frame: pd.DataFrame, columns: Columns) -> Simulated:
    """Return simulated points in the order of their plans, whatever zones they were dealt to."""
    frame = frame.sort_values(["step_id", "position"], ignore_index=True)
    return Simulated(Points.from_frame(frame), {name: frame[name].to_numpy(kind) for name, kind in columns.items()})
