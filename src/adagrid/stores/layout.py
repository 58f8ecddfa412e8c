"""What a method says of its tables: which there are, what holds between them, and in which order they are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias, final

import pandas as pd
from typing_extensions import override

from adagrid._registry import named, names_of
from adagrid.stores import layouts
from adagrid.stores.tables import Columns, Table, common_tables

if TYPE_CHECKING:
    from adagrid.stores.schema import Schema

VOLUME_TOLERANCE = 1e-6
"""Relative difference of volumes that rounding may explain."""

Queries: TypeAlias = Mapping[str, str]
"""A query for every relation, by the relation in words. It finds the ids that break the relation."""


@final
@dataclass(frozen=True)
class Checked:
    """How far a job's tables have been checked; as it is made, nothing has been.

    Args:
        coordination: rows of earlier coordinations have been checked, and are complete.
        rows: how many rows they are, by table.
        region: the volume of the tiles among them that have no parent.
        covered: the volume of those that are active or pruned.
    """

    coordination: int = 0
    rows: Mapping[Table, int] = field(default_factory=dict)
    region: float = 0.0
    covered: float = 0.0


@final
@dataclass(frozen=True)
class WriteOrder:
    """The order in which a job writes its tables. Jobs and copies of jobs follow it.

    A row of `coordinations` is written after everything that it begins with, a row of `steps` after everything that
    the step has found.

    Args:
        steps: what a zone writes before its row of `steps`, in order, by the kind of the coordination.
        many_steps: whether a zone has several steps in a coordination. With only one, its number is that of the
            coordination.
        endings: what is written together when all zones have finished, by the kind of the coordination.
        plans: what is written before the row of `coordinations`, in order, and whether each zone has rows of its own.
    """

    steps: Mapping[str, Sequence[Table]]
    many_steps: bool
    endings: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    plans: Mapping[Table, bool] = field(default_factory=dict)

    def first_step(self, coordination: int, coordinate_every: int) -> int:
        """Return the number of the first step of a coordination."""
        return coordination * coordinate_every if self.many_steps else coordination


class Layout(ABC):
    """The tables of a method. Texts in SQL keep to what every engine understands."""

    name: ClassVar[str]
    order: ClassVar[WriteOrder]
    simulated: ClassVar[Sequence[Table]]
    """The tables whose rows simulation gives."""
    extended: ClassVar[Sequence[Table]]
    """The tables to which simulation or certification adds columns."""
    counts: ClassVar[Mapping[str, str]]
    """What `Store.summary` counts, by name: `count(...) as n from ...`."""

    @override
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    @override
    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def tables(self, dim: int, n_nulls: int, added: Mapping[Table, Columns]) -> Mapping[Table, Columns]:
        """Return the tables with their columns, besides those that every job has.

        Args:
            dim: number of parameters.
            n_nulls: number of null hypotheses.
            added: the columns that simulation or certification adds, by table.
        """

    @abstractmethod
    def relations(self, schema: Schema) -> Queries:
        """Return the relations that hold at every moment."""

    @abstractmethod
    def coverage(self, schema: Schema) -> Queries:
        """Return the relation between volumes, which is checked when all others hold. Its only offending id is 0."""

    @abstractmethod
    def ledger(self, schema: Schema) -> Sequence[str]:
        """Return the queries whose rows together show that a job is consistent (see `_sql_ledger`)."""

    @abstractmethod
    def accepted(self, found: pd.Series, sums: pd.Series, earlier: Checked) -> Checked | None:
        """Return how far a job is checked if its ledger has no wrong row; None if the relations must be checked.

        Args:
            found: the numbers of the ledger, by what they count.
            sums: the sums of the ledger.
            earlier: how far the job was checked before.
        """


def layout_named(name: str) -> Layout:
    """Return a layout.

    Raises:
        KeyError: if no imported module defines one of this name.
    """
    return named(layouts, Layout, name)()  # type: ignore[type-abstract]


def _names() -> set[str]:
    return names_of(layouts, Layout)  # type: ignore[type-abstract]


def every_table() -> set[Table]:
    """Return the names of all tables that a job of any known layout may have."""
    own = {table for name in _names() for table in layout_named(name).tables(1, 0, {})}
    return {*common_tables(1, 0), *own}
