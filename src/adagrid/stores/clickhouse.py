"""Jobs on a ClickHouse server, one database per job: for runs on many machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import final

import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, NotAJobError, StoreError
from adagrid.stores._clickhouse_connection import TYPES, Connect, Connection
from adagrid.stores._clickhouse_url import read_url
from adagrid.stores.layout import every_table
from adagrid.stores.schema import VERSION, Schema
from adagrid.stores.sql import SqlStore
from adagrid.stores.tables import INCIDENTAL, Columns, Table, key_of

# Ids in one query: its text must stay below the server's max_query_size (256 KiB).
_IDS_AT_ONCE = 10_000
_IDS = "(select toUInt64(arrayJoin(:ids)) as id)"
_NO_IDS = "(select toUInt64(0) as id from system.one where dummy > 0)"
# What keeps rows as they were inserted, here or on replicas.
_ENGINES = ("MergeTree", "ReplicatedMergeTree", "SharedMergeTree")
# Tables without ids whose rows are the same when their keys are: two workers may finish the same step.
_KEYED: tuple[Table, ...] = ("steps", "coordinations")


@final
class ClickHouseStore(SqlStore):
    """A job in a database of its own on a ClickHouse server.

    There are no transactions: a kill may cut an `append` short, which running again completes. When the connection
    fails, what was asked is asked again for a while; an insert then sends only rows that have not arrived. The server
    may all the same store a row twice, when an answer is lost or two workers own one packet. Such repeats are
    harmless: every row is seen once, and `verify` objects only to rows with the same id that differ.

    The password comes from the environment variable ADAGRID_CLICKHOUSE_PASSWORD and is neither printed nor stored.

    Args:
        url: `clickhouse://user@host:port/job_id`, and `?secure=true` for HTTPS. The job is in the database
            `adagrid_<job_id>`. On a server on this machine, a job without a job_id gets one: see `location`.
        patience: for how many seconds to try again when the connection fails.
        connect: opens a connection; for engines that need a special one.

    Raises:
        InvalidInputError: if the URL is none, lacks a job_id, or holds a password.
        MissingExtraError: if the client library is not installed.
        NotAJobError: if the database holds something else, or a job of another version.
        StoreError: if the server cannot be reached, or refuses.
    """

    def __init__(self, url: str, *, patience: float = 120.0, connect: Connect | None = None) -> None:
        self._address = read_url(url)
        self._patience = patience
        self._connect = connect
        self._connection = Connection(self._address, patience, connect)
        self._adopt()

    @property
    @override
    def location(self) -> str:
        return str(self._address)

    @override
    def _holds_job(self) -> bool:
        names = set(self._columns_there()["table"])
        if names and not names & every_table():
            raise NotAJobError(
                f"{self.location} is a database, but holds no adagrid job (it has the tables "
                f"{', '.join(sorted(names)[:5])}). Choose another job_id."
            )
        if "schema" not in names:
            return False
        self._connection.use_database()
        return self._number("count(*) as n from schema") > 0  # its row is written when all tables are there

    @override
    def _check_tables(self, schema: Schema) -> None:
        there = self._columns_there()
        found = set(there[["table", "name", "type"]].itertuples(index=False, name=None))
        wanted = {(name, column, TYPES[kind]) for name, of in schema.tables.items() for column, kind in of.items()}
        wrong = sorted({f"{table}.{name}" for table, name, _ in found ^ wanted})
        computed = there["table"][there["default_kind"] != ""]
        engines = self._connection.query(
            "select name, engine from system.tables where database = :database", {"database": self._address.database}
        )
        wrong += sorted({*computed, *engines["name"][~engines["engine"].isin(_ENGINES)]})
        if wrong:
            raise CorruptStoreError(
                f"{self.location} is not opened: its schema has no such tables or columns ({', '.join(wrong[:5])}). "
                "Somebody has changed the database. Take another copy of the job."
            )

    @override
    def create(self, schema: Schema) -> None:
        there = set(self._columns_there()[["table", "name", "type"]].itertuples(index=False, name=None))
        if there - {(name, column, TYPES[kind]) for name, of in schema.tables.items() for column, kind in of.items()}:
            raise StoreError(
                f"{self.location} holds the interrupted start of another job, with other tables. Start that one "
                "again, or choose another job_id."
            )
        self._connection.command(f"create database if not exists {self._address.database}")
        self._connection.use_database()
        for name, columns in schema.tables.items():
            listed = ", ".join(f"{column} {TYPES[kind]}" for column, kind in columns.items())
            key = ", ".join(key_of(name))
            self._connection.command(
                f"create table if not exists {name} ({listed}) engine = MergeTree() order by ({key})"
            )
        self.schema = schema
        self._append({"schema": pd.DataFrame([{"version": VERSION, "definition": schema.dumps()}])})

    @override
    def reader(self) -> ClickHouseStore:
        return self.opener()

    @property
    @override
    def opener(self) -> Callable[[], ClickHouseStore]:
        return partial(ClickHouseStore, str(self._address), patience=self._patience, connect=self._connect)

    @override
    def close(self) -> None:
        self._connection.close()

    @override
    def _append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        for name, frame in frames.items():
            columns = self.schema.tables[name]
            self._connection.insert(name, frame, columns, _identity(name, columns))

    @override
    def _query(self, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        return self._connection.query(sql, values)

    @override
    def _query_ids(self, sql: str, ids: IdArray) -> pd.DataFrame:
        if not len(ids):
            return self._query(sql.replace("from wanted", f"from {_NO_IDS} as wanted"))
        text = sql.replace("from wanted", f"from {_IDS} as wanted")
        starts = range(0, len(ids), _IDS_AT_ONCE)
        parts = [self._connection.query(text, {"ids": ids[i : i + _IDS_AT_ONCE].tolist()}) for i in starts]
        return pd.concat(parts, ignore_index=True)

    @override
    def _once(self, name: Table) -> str:
        return f"limit 1 by {', '.join(_identity(name, self.schema.tables[name]))}"

    @override
    def _version(self) -> object:
        counts = [f"select '{name}' as name, count(*) as n from {name}" for name in self.schema.tables]
        return sorted(self._query(" union all ".join(counts)).itertuples(index=False, name=None))

    @override
    def _repeated(self) -> Mapping[Table, str]:
        counts = [
            f"select '{name}' as name, count(*) as n, count(distinct {', '.join(identity)}) as different from {name}"
            for name, columns in self.schema.tables.items()
            if len(identity := _identity(name, columns)) < len(columns)
        ]
        found = self._query(" union all ".join(counts))
        repeated = set(found["name"][found["n"] > found["different"]])
        return {name: self._distinct(name) for name in self.schema.tables if name in repeated}

    @staticmethod
    @override
    def _is_nan(column: str) -> str:
        return f"isNaN({column})"

    @staticmethod
    @override
    def _shifted(column: str, shift: str) -> str:
        return f"bitShiftRight({column}, {shift})"

    def _distinct(self, name: Table) -> str:
        """Return the query for a table's rows, where those that differ only in who wrote them and when are one."""
        columns = [column for column in self.schema.tables[name] if column not in INCIDENTAL]
        return f"select distinct {', '.join(columns)} from {name}"

    def _columns_there(self) -> pd.DataFrame:
        """Return what columns the job's database has."""
        return self._connection.query(
            "select table, name, type, default_kind from system.columns where database = :database",
            {"database": self._address.database},
        )


def _identity(name: Table, columns: Columns) -> tuple[str, ...]:
    """Return the columns that identify a row of a table."""
    if "id" in columns:
        return ("id",)
    return key_of(name) if name in _KEYED else tuple(columns)
