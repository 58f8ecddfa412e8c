"""Jobs in an embedded DuckDB database: one file, or memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from copy import copy
from os import PathLike, fspath
from pathlib import Path
from typing import Any, final

import duckdb
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, NotAJobError, StoreBusyError, StoreError
from adagrid.stores._duckdb_catalog import LISTING, Catalog, most_text, text_bytes
from adagrid.stores._duckdb_files import (
    TYPES,
    Format,
    check_database,
    connect,
    file_path,
    log_of,
    quote,
    read_text,
    write_text,
)
from adagrid.stores._duckdb_rows import batches, checked, readable
from adagrid.stores.schema import VERSION, Schema
from adagrid.stores.sql import SqlStore
from adagrid.stores.tables import Table

# What a file without any table takes: three headers.
_EMPTY = 3 * 4096
_UNWRITTEN = "Could not write file"
# Values of a few rows reach the engine faster in the statement than as a table.
_BOUND = 64


@final
class DuckDBStore(SqlStore):
    """A job in a DuckDB database.

    Every `append` is one transaction. There is no index: it would slow inserting several times.

    Args:
        path: the file, created if it does not exist, or ":memory:".
        read_only: open an existing file without the right to write.

    Raises:
        NotAJobError: if the file is no database, no adagrid database, or of another version.
        StoreBusyError: if another process has the file open.
        StoreError: if the file or its write-ahead log is damaged, or cannot be written.
    """

    _catalog: Catalog | None = None
    _size = 0

    def __init__(self, path: str | PathLike[str] = ":memory:", *, read_only: bool = False) -> None:
        is_new = True
        self._path = fspath(path)
        if not self.in_memory:
            file = file_path(path)
            self._path = str(file)
            is_new = check_database(file, read_only=read_only)
        try:
            self._connection = connect(self._path, read_only=read_only, in_memory=self.in_memory)
        except duckdb.Error as error:
            if is_new and _UNWRITTEN in str(error):  # a file that is created in part could never be opened
                file.unlink(missing_ok=True)
            raise self._explained(error) from error
        except UnicodeDecodeError as error:  # the engine repeats bytes of the file in its message
            raise CorruptStoreError(f"{self._path!r} is damaged: {error}. Restore it from a copy.") from error
        if is_new:
            self._adopt()
        else:
            self._adopt_file(file)

    def _adopt_file(self, file: Path) -> None:
        """Read the schema of a job that was written elsewhere, if there is one, and refuse what no job has."""
        try:
            with self._explaining():
                self._catalog = Catalog(self._connection.execute(LISTING).fetchall(), self._path)
            self._size = sum(part.stat().st_size for part in (file, log_of(file)) if part.exists())
        except BaseException:
            self.close()
            raise
        self._adopt()

    @override
    def _check_tables(self, schema: Schema) -> None:
        if self._catalog is None:  # made in this process
            return
        self._catalog.check(schema, self._size)
        most = most_text(self._size)
        if self._number(text_bytes()) > most:
            raise CorruptStoreError(
                f"{self._path!r} has more than {most:,} bytes of text in {self._size:,} bytes of file, so it is not "
                "read. Take another copy."
            )

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
            f"create table {name} ({', '.join(f'{column} {TYPES[kind]}' for column, kind in columns.items())})"
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
    def _registered(self, name: str, rows: Any) -> Iterator[None]:
        """Let queries see arrays by column, or batches of Arrow, as a table."""
        self._connection.register(name, rows)
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
        with self.frozen() as frozen, closing(DuckDBStore(path)) as target:
            target.create(self.schema)
            for name in self.schema.tables:
                if name != "schema":
                    target._insert_all(name, frozen._stream(f"select {self._columns(name)} from {name}"))
            with target._explaining():
                target._connection.execute("checkpoint")

    def write_file(self, name: Table, path: str | PathLike[str], of: Format, engine: Any) -> int:
        """Write a table to a file in the order of its keys, and return how many rows it has.

        Args:
            name: a table.
            path: the file.
            of: its format.
            engine: what writes it: see `in_folder`.
        """
        rows = self._stream(f"select {self._columns(name)} from {name} {self._in_order(name)}")
        with self._explaining():
            engine.register("incoming", rows)
            engine.execute(write_text("select * from incoming", fspath(Path(path).absolute()), of, self._types(name)))
            engine.unregister("incoming")
        return self._number(f"count(*) as n from {name}")

    def read_file(self, name: Table, path: str | PathLike[str], of: Format, most: int, engine: Any) -> int:
        """Append the rows of such a file, which anybody may have written, to a table.

        Args:
            name: a table.
            path: the file.
            of: its format.
            most: how many rows it has, or more than that.
            engine: what reads it: see `in_folder`.

        Returns:
            How many rows the table has.

        Raises:
            CorruptStoreError: if the file has other columns, missing values or NaN, or more rows.
        """
        file, columns = Path(path), self.schema.tables[name]
        with self._transaction():
            with readable(file):
                found = engine.sql(f"from {read_text(fspath(file.absolute()), of, self._types(name))}")
                parts = checked(batches(found), columns, file, most)
            while True:
                with readable(file):
                    part = next(parts, None)
                if part is None:
                    break
                self._insert_all(name, part)
        return self._number(f"count(*) as n from {name}")

    def _stream(self, sql: str) -> Any:
        """Return the rows of a query in batches, as they are asked for."""
        with self._explaining():
            return batches(self._connection.sql(sql))

    def _insert_all(self, name: Table, rows: Any) -> None:
        """Insert batches of Arrow into a table."""
        columns = self._columns(name)
        with self._explaining(), self._registered("incoming", rows):
            self._connection.execute(f"insert into {name} ({columns}) select {columns} from incoming")

    @override
    def interrupt(self) -> None:
        self._connection.interrupt()

    @override
    def close(self) -> None:
        with self._explaining():
            self._connection.close()

    def _types(self, name: Table) -> Mapping[str, str]:
        return {column: TYPES[kind] for column, kind in self.schema.tables[name].items()}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explaining():
            try:
                self._connection.execute("begin")
                yield
                self._connection.execute("commit")
            except BaseException:
                with suppress(duckdb.Error, RuntimeError):  # the first error is the one to report
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
        except UnicodeDecodeError as error:  # in texts of a file, or in a message that repeats them
            raise CorruptStoreError(f"{self._path!r} is damaged: {error}. Restore it from a copy.") from error
        except RuntimeError as error:
            if "interrupted" in str(error).lower():
                raise KeyboardInterrupt from None
            raise

    def _explained(self, error: duckdb.Error) -> StoreError:
        text = str(error)
        if "lock" in text.lower() and "conflicting" in text.lower():
            return StoreBusyError(
                f"{self._path!r} is open in another process. Wait until that run has ended, or stop it first; "
                "one process at a time can use a DuckDB file. To look at a job while it runs, start it with "
                "snapshot=, and open that file."
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
