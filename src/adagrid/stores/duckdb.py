"""Jobs in an embedded DuckDB database: one file, or memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import final

import duckdb
import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import InvalidInputError, NotAJobError, StoreBusyError, StoreError
from adagrid.stores.base import Schema, Table
from adagrid.stores.schema import VERSION
from adagrid.stores.sql import SqlStore

_TYPES: Mapping[type, str] = {
    np.uint64: "ubigint",
    np.int64: "bigint",
    np.uint32: "uinteger",
    np.uint8: "utinyint",
    np.float64: "double",
    np.float32: "float",
    str: "varchar",
}
# What the engine may keep in memory of a file, beyond which it uses a folder beside it; threads need shares of it.
_MEMORY, _THREADS = "400MB", 4


@final
class DuckDBStore(SqlStore):
    """A job in a DuckDB database.

    Every `append` is one transaction. No index is kept: it would slow inserting several times.

    Args:
        path: the file, created if it does not exist, or ":memory:".
        read_only: open an existing file without the right to write.

    Raises:
        NotAJobError: if the file is no database, no adagrid database, or of another version.
        StoreBusyError: if another process has the file open.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:", *, read_only: bool = False) -> None:
        self._path = fspath(path)
        if self._path != ":memory:":
            file = Path(self._path)
            if read_only and not file.exists():
                raise NotAJobError(f"There is no database at {self._path!r}.")
            if file.is_dir() or not file.absolute().parent.is_dir():
                raise InvalidInputError(
                    f"db must be a file in an existing folder; got {self._path!r}. Create the folder first."
                )
        try:
            self._connection = duckdb.connect(self._path, read_only=read_only)
        except duckdb.Error as error:
            raise self._explained(error) from error
        if not read_only:
            self._connection.execute("set checkpoint_threshold = '256MB'")
        self._connection.execute("set preserve_insertion_order = false")
        if self._path != ":memory:":  # what a job needs is in its frontier; the engine would fill the machine's memory
            self._connection.execute(f"set memory_limit = '{_MEMORY}'")
            self._connection.execute(f"set threads = {min(_THREADS, os.cpu_count() or 1)}")
        self._adopt()

    @property
    @override
    def location(self) -> str:
        return self._path

    @property
    @override
    def exists(self) -> bool:
        tables = self._query("select table_name as name from information_schema.tables where table_schema = 'main'")
        names = set(tables["name"])
        if names and "schema" not in names:
            raise NotAJobError(
                f"{self._path!r} is a DuckDB database, but holds no adagrid job (it has the tables "
                f"{', '.join(sorted(names)[:5])}). Give the path of a new file."
            )
        return bool(names)

    @override
    def create(self, schema: Schema) -> None:
        with self._transaction():
            for name, columns in schema.tables.items():
                listed = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in columns.items())
                self._connection.execute(f"create table {name} ({listed})")
            self._connection.execute("insert into schema values (?, ?)", [VERSION, schema.dumps()])
        self.schema = schema

    @override
    def _append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        with self._transaction():
            for name, frame in frames.items():
                self._connection.register("incoming", frame)
                try:
                    columns = ", ".join(frame.columns)
                    self._connection.execute(f"insert into {name} ({columns}) select {columns} from incoming")
                finally:
                    with suppress(duckdb.Error, RuntimeError):
                        self._connection.unregister("incoming")

    @override
    def _query(self, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        with self._explaining():
            return self._connection.execute(re.sub(r":(?=[a-z])", "$", sql), dict(values or {})).df()

    @override
    def _query_ids(self, sql: str, ids: IdArray) -> pd.DataFrame:
        self._connection.register("wanted", pd.DataFrame({"id": ids}))
        try:
            return self._query(sql)
        finally:
            with suppress(duckdb.Error, RuntimeError):
                self._connection.unregister("wanted")

    @override
    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explaining():
            try:
                self._connection.execute("begin")
                yield
                self._connection.execute("commit")
            except BaseException:
                with suppress(duckdb.Error, RuntimeError):  # what went wrong first is what is told
                    self._connection.execute("rollback")
                raise

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn the engine's errors into ours, and its form of an interrupt into Python's."""
        try:
            yield
        except duckdb.Error as error:
            if isinstance(error.__context__ or error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise self._explained(error) from error
        except RuntimeError as error:
            if "interrupted" in str(error).lower():
                raise KeyboardInterrupt from None
            raise

    def _explained(self, error: duckdb.Error) -> StoreError:
        text = str(error)
        if "lock" in text.lower() and "conflicting" in text.lower():
            return StoreBusyError(
                f"{self._path!r} is open in another process. Wait until that run has ended, or stop it first; "
                "one process at a time can use a DuckDB file."
            )
        if "different configuration" in text:
            return StoreBusyError(
                f"This process still has {self._path!r} open: use that run, or close it first with run.close()."
            )
        if isinstance(error, duckdb.ConnectionException):
            return StoreError(f"{self._path!r} is closed. Open the job again with adagrid.open_job.")
        if "not a valid DuckDB database" in text or "not a DuckDB database" in text:
            return NotAJobError(f"{self._path!r} is no DuckDB database. Give the path of a job or of a new file.")
        return StoreError(f"{self._path!r}: {text}")
