"""Turns what a user passes as `db` into a store."""

from __future__ import annotations

from os import PathLike
from typing import TypeGuard

from adagrid.errors import InvalidInputError
from adagrid.stores._clickhouse_url import is_url
from adagrid.stores._duckdb_files import file_path
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.store import Store

_MEMORY = ":memory:"


def is_new_file(db: object) -> TypeGuard[str | PathLike[str]]:
    """Return whether `db` is the path of a file that does not exist."""
    if not isinstance(db, (str, PathLike)) or db == _MEMORY or is_url(db):
        return False
    return not file_path(db).exists()


def open_store(db: str | PathLike[str] | Store | None = None) -> Store:
    """Open a database.

    Args:
        db: None for one in memory, the path of a DuckDB file (created if it does not exist), the URL of a job on a
            ClickHouse server (`clickhouse://user@host:port/job_id?secure=true`, the password in the environment
            variable ADAGRID_CLICKHOUSE_PASSWORD), or a store.

    Raises:
        InvalidInputError: if `db` is none of these.
        MissingExtraError: if the client library of a server is not installed.
        StoreError: if the database cannot be opened.
    """
    if db is None:
        return DuckDBStore(_MEMORY)
    if isinstance(db, Store):
        return db
    if isinstance(db, (str, PathLike)):
        if is_url(db):
            return ClickHouseStore(db)
        return DuckDBStore(db)
    raise InvalidInputError(
        "db must be None (in memory), a path of a DuckDB file, a clickhouse:// URL, or a store; got "
        f"{type(db).__name__}."
    )


def open_reading(db: str | PathLike[str]) -> Store:
    """Open a database to read it."""
    return open_store(db) if is_url(db) else DuckDBStore(db, read_only=True)
