"""The queries of the stores that speak SQL.

One set of texts serves every engine. They avoid what some engine lacks: Booleans, named selects, window
functions, semi and anti joins, more than one join, EXCEPT and EXISTS. Values are bound as :name; identifiers come
from the schema, never from users.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import final

import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores._sql_ledger import accepted, ledger
from adagrid.stores._sql_relations import INACTIVE, relations
from adagrid.stores.layout import VOLUME_TOLERANCE, Checked, Queries
from adagrid.stores.schema import LONGEST_DEFINITION, Schema
from adagrid.stores.store import ACTIVITY, NAMED, StepKey, Store, ZoneView, spread_frame
from adagrid.stores.tables import Table, key_of

# How often `verify` looks again while other processes write, and how long it waits before (seconds).
_LOOKS, _PAUSE = 40, 0.25
# Characters after which a statement is long enough: servers refuse one of 256 KiB.
_LONG = 2**16
# Rows that are in memory at once while a frontier is read.
PAGE = 2**19
_PAGE = "step_id >= :first_step and step_id <= :last_step and position >= :begin and position < :end"


class SqlStore(Store):
    """A store whose engine speaks SQL; subclasses connect, insert and run queries."""

    _found = False  # whether the tables were there when last asked: they stay

    @abstractmethod
    def _query(self, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        """Run a query; :name in the text stands for the value of that name."""

    @abstractmethod
    def _query_ids(self, sql: str, ids: IdArray) -> pd.DataFrame:
        """Run a query in which the table `wanted` has a column id with the given ids."""

    @abstractmethod
    def _holds_job(self) -> bool:
        """Return whether the tables have been created, to the end.

        Raises:
            NotAJobError: if the database holds something else.
        """

    def _check_tables(self, schema: Schema) -> None:
        """Refuse a job of another process whose tables are not as its schema has them.

        Nothing may run that the database defines, such as a view in place of a table.

        Raises:
            CorruptStoreError: naming what no job has.
        """

    @property
    @final
    @override
    def exists(self) -> bool:
        if not self._found:  # it may have been created since this was opened
            self._found = self._holds_job()
            if self._found and not hasattr(self, "schema"):
                schema = self._read_schema()
                self._check_tables(schema)
                self.schema = schema
        return self._found

    @final
    @override
    def table(self, name: Table) -> pd.DataFrame:
        return self._rows(name, f"select {self._columns(name)} from {name} {self._in_order(name)}")

    @final
    @override
    def results(self, name: Table = "results", *, active: bool) -> pd.DataFrame:
        condition = f"where id not in {INACTIVE}" if active else ""
        return self._rows(name, f"select {self._columns(name)} from {name} {condition} {self._in_order(name)}")

    @final
    @override
    def rows(self, name: Table, ids: IdArray) -> pd.DataFrame:
        found = self._query_ids(
            f"select {self._columns(name)} from {name} where id in (select id from wanted)", ids
        ).drop_duplicates("id")
        found = self._sound(name, found).set_index("id", drop=False)
        if len(found) < len(ids):
            lost = ids[~np.isin(ids, found["id"].to_numpy(np.uint64))]
            raise CorruptStoreError(f"{self.location}: {name} has no rows for the ids {lost[:NAMED].tolist()}.")
        return found.loc[ids].reset_index(drop=True)

    @final
    @override
    def known(self, name: Table, ids: IdArray) -> IdArray:
        found = self._query_ids(f"select distinct id from {name} where id in (select id from wanted)", ids)
        return found["id"].to_numpy(np.uint64)

    @final
    @override
    def step_rows(self, name: Table, key: StepKey, columns: Sequence[str] | None = None) -> pd.DataFrame:
        return self._rows(
            name,
            f"select {', '.join(columns or self.schema.tables[name])} from {name} "
            "where coordination_id = :coordination_id "
            f"and zone_id = :zone_id and step_id = :step_id {self._in_order(name)}",
            vars(key),
        )

    @final
    @override
    def between(
        self, name: Table, bounds: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        within = [f"{column} >= :{column}_from and {column} <= :{column}_to" for column in bounds]
        values = {f"{column}_from": low for column, (low, _) in bounds.items()}
        values |= {f"{column}_to": high for column, (_, high) in bounds.items()}
        listed = self._columns(name) if columns is None else ", ".join(columns)
        where = f"where {' and '.join(within)}" if within else ""
        return self._rows(name, f"select {listed} from {name} {where} {self._in_order(name)}", values)

    @final
    @override
    def last_step(self, coordination_id: int, zone_id: int) -> int | None:
        return self._last(
            "select count(*) as n, max(step_id) as last from steps "
            "where coordination_id = :coordination_id and zone_id = :zone_id",
            {"coordination_id": coordination_id, "zone_id": zone_id},
        )

    @final
    @override
    def last_coordination(self) -> int | None:
        return self._last("select count(*) as n, max(coordination_id) as last from coordinations", {})

    @final
    @override
    def frontier(self, view: ZoneView, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        mine, values = "step_id < :before_step", {"before_step": view.before_step}
        if view.n_zones > 1:
            mine += (
                " and ((coordination_id = :coordination_id and zone_id = :zone_id) or (coordination_id < "
                f":coordination_id and {self._shifted('id', ':shift')} % :n_zones = :zone_id))"
            )
            values = vars(view) | {"shift": view.shift}
        before = {"before_step": view.before_step}
        kept = self._query("select id from done where active = 1 and step_id < :before_step", before)
        steps = self._query(
            f"select step_id, count(*) as n, max(position) + 1 as end from results where {mine} "
            "group by step_id order by step_id",
            values,
        )
        for page in _pages(steps):
            yield self._rows(
                "results",
                f"select {', '.join(['id', *columns])} from results where {_PAGE} and {mine} "
                "and id not in (select id from done where active = 0 and step_id < :before_step) "
                f"{self._once('results')}",
                values | page,
            ).assign(eligible=lambda frame: ~frame["id"].isin(kept["id"]))

    @final
    @override
    def extreme(self, column: str, *, largest: bool, name: Table = "results", count: int = 1) -> pd.DataFrame:
        if column not in self.schema.tables[name]:
            raise StoreError(f"{name} has no column {column!r}.")
        return self._rows(
            name,
            f"select {self._columns(name)} from {name} where id not in {INACTIVE} "
            f"order by {column} {'desc' if largest else 'asc'}, id {self._once(name)} limit {int(count)}",
        )

    @final
    @override
    def spread(self, columns: Sequence[str], name: Table = "results") -> pd.DataFrame:
        listed = ", ".join(f"min({column}), avg({column}), max({column})" for column in columns)
        row = self._query(f"select count(*) as n, {listed} from {name} where id not in {INACTIVE}").iloc[0]
        values = row.to_numpy(float)[1:].reshape(-1, 3)
        return spread_frame(columns if row["n"] else [], values)

    @final
    @override
    def activity(self, since: float) -> pd.DataFrame:
        simulated = " ".join(
            f"union all select worker_id, time, 1 as simulated, n_sims as simulations from {table} where time >= :since"
            for table in self.schema.layout.simulated
        )
        return self._query(
            f"""select worker_id, max(time) as last_sign, sum(simulated) as simulated, sum(simulations) as simulations
            from (
                select worker_id, time, 0 as simulated, 0 as simulations from config
                union all select worker_id, time, 0 as simulated, 0 as simulations from reports {simulated}
            ) as signs group by worker_id order by worker_id""",
            {"since": since},
        ).astype(ACTIVITY)

    @final
    @override
    def summary(self) -> Mapping[str, int]:
        return {name: self._number(sql) for name, sql in self.schema.layout.counts.items()}

    @final
    @override
    def _accepted(self, earlier: Checked) -> Checked | None:
        values = {"since": earlier.coordination, "tolerance": VOLUME_TOLERANCE}
        return accepted(self._query(ledger(self.schema), values), self.schema, earlier)

    @final
    @override
    def violations(self) -> Mapping[str, IdArray]:
        for _ in range(_LOOKS):
            before = self._version()
            repeated = self._repeated()
            broken = self._broken(relations(self.schema), repeated) or self._broken(
                self.schema.layout.coverage(self.schema), repeated
            )
            if not broken or self._version() == before:
                break
            time.sleep(_PAUSE)  # rows arrived between two queries: what they seem to contradict may have arrived too
        return broken

    @property
    @final
    @override
    def incomplete(self) -> Sequence[str]:
        parts = []
        for name, columns in self.schema.tables.items():
            absent = [f"{column} is null" for column in columns]
            absent += [self._is_nan(column) for column, kind in columns.items() if kind in (np.float64, np.float32)]
            parts.append(f"select '{name}' as name, count(*) as n from {name} where {' or '.join(absent)}")
        found = self._query(" union all ".join(parts))
        return found["name"][found["n"] > 0].tolist()

    @staticmethod
    def _is_nan(column: str) -> str:
        """Return the condition that a column is not a number."""
        return f"isnan({column})"

    def _once(self, name: Table) -> str:  # noqa: ARG002 - for engines that need it
        """Return what ends a query so that it gives every row of a table once.

        Nothing, unless the engine may store a row twice.
        """
        return ""

    def _repeated(self) -> Mapping[Table, str]:
        """Return the tables in which rows are stored repeatedly, each with a query for its rows without repeats.

        None where an append is a transaction: what is there twice was written twice, which `verify` must find.
        """
        return {}

    def _version(self) -> object:
        """Return what changes whenever another process writes; the same for ever if none can."""
        return None

    def _in_order(self, name: Table) -> str:
        return f"order by {', '.join(key_of(name))} {self._once(name)}"

    def _broken(self, queries: Queries, repeated: Mapping[Table, str]) -> dict[str, IdArray]:
        """Return the relations whose queries find ids."""
        broken: dict[str, IdArray] = {}
        for some in _statements(queries, repeated):
            values = {"tolerance": VOLUME_TOLERANCE} if ":tolerance" in some else {}
            found = self._query(some, values).sort_values(["relation", "id"])
            for number in found["relation"].unique():
                broken[list(queries)[number]] = found["id"][found["relation"] == number].to_numpy(np.uint64)
        return broken

    def _rows(self, name: Table, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        """Return what a query finds of the columns of a table."""
        return self._sound(name, self._query(sql, values))

    def _sound(self, name: Table, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows of a table; refuse values that nobody could have appended, before they are taken for others."""
        kinds = self.schema.tables[name]
        wrong = [str(column) for column in frame if not _is_sound(frame[column], kinds[str(column)])]
        if wrong:
            raise CorruptStoreError(
                f"{self.location}: {name} has missing values, NaN or other types than a job's in {', '.join(wrong)}. "
                "Take another copy."
            )
        return frame

    def _number(self, sql: str) -> int:
        return int(self._query(f"select {sql}")["n"].iloc[0])

    def _last(self, sql: str, values: Mapping[str, int]) -> int | None:
        row = self._query(sql, values).iloc[0]
        return int(row["last"]) if row["n"] else None

    def _columns(self, name: Table) -> str:
        return ", ".join(self.schema.tables[name])

    @staticmethod
    def _shifted(column: str, shift: str) -> str:
        """Return the expression for a 64-bit word without its low bits."""
        return f"({column} >> {shift})"

    def _adopt(self) -> None:
        """Read the schema of the job that is there, if there is one; close the database if it cannot be used."""
        try:
            _ = self.exists
        except BaseException:
            self.close()
            raise

    def _read_schema(self) -> Schema:
        definition = f"substring(definition, 1, {LONGEST_DEFINITION}) as definition"
        rows = self._query(f"select version, {definition} from schema")
        if not len(rows) or rows.isna().any(axis=None):
            raise CorruptStoreError(f"{self.location}: the definition of its tables is missing. Take another copy.")
        row = rows.iloc[0]
        return Schema.loads(int(row["version"]), str(row["definition"]), self.location)


def _is_sound(values: pd.Series, kind: type) -> bool:
    """Return whether a column has the type of a schema, and no value is missing or NaN."""
    if kind is str:
        return not values.isna().any()
    if values.dtype != kind:  # numbers with missing ones among them come as another type
        return False
    return values.dtype.kind != "f" or not np.isnan(values.to_numpy()).any()


def _statements(queries: Queries, repeated: Mapping[Table, str]) -> Iterator[str]:
    """Yield statements for the first ids that queries find, each with the number of its query in `relation`.

    Args:
        queries: the queries.
        repeated: for every table in which rows are stored repeatedly the query for its rows without repeats.
    """
    parts: list[str] = []
    for number, sql in enumerate(queries.values()):
        for table, rows in repeated.items():
            sql = re.sub(rf"\bfrom {table}\b", f"from ({rows}) as {table}", sql)
        distinct = f"select distinct {number} as relation, id from ({sql}) as broken order by id limit {NAMED}"
        parts.append(f"select relation, id from ({distinct}) as relation{number}")
        if sum(map(len, parts)) >= _LONG:
            yield " union all ".join(parts)
            parts = []
    if parts:
        yield " union all ".join(parts)


def _pages(steps: pd.DataFrame) -> list[dict[str, int]]:
    """Cut steps into ranges of about as many rows as a page has.

    Args:
        steps: step_id, n (rows) and end (one past the last position) of every step, in order.

    Returns:
        Values for `_PAGE`: some steps, or some positions of a large one; one page at least.
    """
    pages: list[dict[str, int]] = []
    room = 0
    for step, n, end in steps.astype(np.int64).itertuples(index=False, name=None):
        if n <= room:
            pages[-1] |= {"last_step": step, "end": max(pages[-1]["end"], end)}
            room -= n
        else:
            cuts = np.linspace(0, end, -(-n // PAGE) + 1, dtype=np.int64).tolist()
            of_step = {"first_step": step, "last_step": step}
            pages += [of_step | {"begin": begin, "end": end} for begin, end in pairwise(cuts)]
            room = max(0, PAGE - n)
    return pages or [{"first_step": 0, "last_step": 0, "begin": 0, "end": 0}]
