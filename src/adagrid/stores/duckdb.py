"""Jobs in an embedded DuckDB database: one file, or memory."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from os import PathLike, fspath
from typing import final

import duckdb
import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import Array, IdArray
from adagrid.errors import InvalidInputError, NotAJobError, StoreBusyError, StoreError
from adagrid.stores._duckdb_files import Format, file_path, quote, read_text, write_text
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
# What a file without any table takes: three headers.
_EMPTY = 3 * 4096
_UNWRITTEN = "Could not write file"
# What the engine may keep in memory of a file, beyond which it uses a folder beside it; threads need shares of it.
_MEMORY, _THREADS = "400MB", 4
# Values of a few rows reach the engine faster in the statement than as a table.
_BOUND = 64


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
        StoreError: if the file or its write-ahead log is damaged, or cannot be written.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:", *, read_only: bool = False) -> None:
        self._path = fspath(path)
        file = file_path(self._path)
        is_new = not self.in_memory and not file.exists()
        if not self.in_memory:
            if read_only and is_new:
                raise NotAJobError(f"There is no database at {self._path!r}.")
            if file.is_dir():
                raise InvalidInputError(
                    f"db must be a file, but {self._path!r} is a folder. Give a file in it, such as "
                    f"{str(file / 'job.duckdb')!r}."
                )
            if not file.absolute().parent.is_dir():
                raise InvalidInputError(
                    f"db must be a file in an existing folder; got {self._path!r}. Create the folder first."
                )
        try:
            self._connection = duckdb.connect(self._path, read_only=read_only)
        except duckdb.Error as error:
            if is_new and _UNWRITTEN in str(error):  # a file that is created in part could never be opened
                file.unlink(missing_ok=True)
            raise self._explained(error) from error
        self._connection.execute(_settings(read_only, self.in_memory))
        self._adopt()

    @property
    @override
    def location(self) -> str:
        return self._path

    @property
    @override
    def in_memory(self) -> bool:
        return self._path == ":memory:"

    @override
    def _holds_job(self) -> bool:
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
        statements = [
            f"create table {name} ({', '.join(f'{column} {_TYPES[kind]}' for column, kind in columns.items())})"
            for name, columns in schema.tables.items()
        ]
        statements.append(f"insert into schema values ({VERSION}, {quote(schema.dumps())})")
        with self._transaction():
            self._connection.execute("; ".join(statements))
        self.schema = schema

    @override
    def _append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        with self._transaction():
            for name, frame in frames.items():
                self._insert(name, frame)

    def _insert(self, name: Table, frame: pd.DataFrame) -> None:
        columns = ", ".join(frame.columns)
        if frame.size <= _BOUND:
            row = f"({', '.join('?' * frame.shape[1])})"
            values = [value for values in frame.itertuples(index=False, name=None) for value in values]
            self._connection.execute(f"insert into {name} ({columns}) values {', '.join([row] * len(frame))}", values)
            return
        with self._registered("incoming", {str(column): frame[column].to_numpy() for column in frame}):
            self._connection.execute(f"insert into {name} ({columns}) select {columns} from incoming")

    @contextmanager
    def _registered(self, name: str, columns: Mapping[str, Array]) -> Iterator[None]:
        """Let queries see arrays as a table."""
        self._connection.register(name, columns)
        try:
            yield
        finally:
            with suppress(duckdb.Error, RuntimeError):
                self._connection.unregister(name)

    @override
    def _query(self, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        with self._explaining():
            return self._connection.execute(re.sub(r":(?=[a-z])", "$", sql), dict(values or {})).df()

    @override
    def _query_ids(self, sql: str, ids: IdArray) -> pd.DataFrame:
        with self._registered("wanted", {"id": ids}):
            return self._query(sql)

    @override
    def reader(self) -> DuckDBStore:
        other = copy(self)
        with self._explaining():
            other._connection = self._connection.cursor()
        return other

    @contextmanager
    def frozen(self) -> Iterator[DuckDBStore]:
        """Yield a store that reads the job as it stands now, whatever is appended meanwhile."""
        reader = self.reader()
        try:
            with reader._transaction():
                yield reader
        finally:
            reader.close()

    def dump(self, path: str | PathLike[str]) -> None:
        """Write the job as it stands to a new file; the job may go on meanwhile, in another thread."""
        name, connection = f"dump_{uuid.uuid4().hex}", self._connection
        with self._explaining():
            own = connection.execute("select current_database()").fetchall()[0][0].replace('"', '""')
            connection.execute(f"attach {quote(fspath(path))} as {name} (read_write)")
            try:
                connection.execute(f'copy from database "{own}" to {name}')
                connection.execute(f"checkpoint {name}")
            finally:
                with suppress(duckdb.Error, RuntimeError):  # what went wrong first is what is told
                    connection.execute(f"detach {name}")

    def write_file(self, name: Table, path: str | PathLike[str], of: Format) -> int:
        """Write a table to a file in the order of its keys, and return how many rows it has."""
        query = f"select {self._columns(name)} from {name} {self._in_order(name)}"
        with self._explaining():
            self._connection.execute(write_text(query, fspath(path), of, self._types(name)))
        return self._number(f"count(*) as n from {name}")

    def read_file(self, name: Table, path: str | PathLike[str], of: Format) -> int:
        """Append the rows of such a file to a table, and return how many rows the table has."""
        columns = self._columns(name)
        with self._transaction():
            rows = read_text(fspath(path), of, self._types(name))
            self._connection.execute(f"insert into {name} ({columns}) select {columns} from {rows}")
        return self._number(f"count(*) as n from {name}")

    @override
    def interrupt(self) -> None:
        self._connection.interrupt()

    @override
    def close(self) -> None:
        with self._explaining():
            self._connection.close()

    def _types(self, name: Table) -> Mapping[str, str]:
        return {column: _TYPES[kind] for column, kind in self.schema.tables[name].items()}

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
        if "replaying WAL" in text:
            return StoreError(
                f"{self._path!r} cannot be opened: its write-ahead log {self._path + '.wal'!r}, which holds what was "
                "written last, is damaged. Nothing was changed. Restore both files from a copy. Without one, move the "
                f"log elsewhere and continue the job with the same arguments: it repeats what the log held ({text})."
            )
        if _UNWRITTEN in text:
            return StoreError(
                f"{self._path!r} cannot be written: its disk is full or fails. What was written before is safe: make "
                f"room, then continue the job with the same arguments ({text})."
            )
        if "Could not read enough bytes" in text:
            return StoreError(
                f"{self._path!r} is cut short. If it is smaller than {_EMPTY} bytes it was never completed and holds "
                f"nothing: delete it and start the job again. Otherwise restore it from a copy ({text})."
            )
        return StoreError(f"{self._path!r}: {text}")


def _settings(read_only: bool, in_memory: bool) -> str:
    """Return the statements that fit the engine to a job."""
    settings = ["preserve_insertion_order = false"]
    if not read_only:
        settings.append("checkpoint_threshold = '256MB'")
    if not in_memory:  # what a job needs is in its frontier; the engine would fill the machine's memory
        settings += [f"memory_limit = '{_MEMORY}'", f"threads = {min(_THREADS, os.cpu_count() or 1)}"]
    return "; ".join(f"set {setting}" for setting in settings)
