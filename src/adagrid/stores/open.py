"""Turns what a user passes as `db` into a store."""

from __future__ import annotations

from os import PathLike

from adagrid.errors import InvalidInputError
from adagrid.stores.base import Store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.pandas import PandasStore


def open_store(db: str | PathLike[str] | Store | None = None) -> Store:
    """Open a database.

    Args:
        db: None for one in memory, the path of a DuckDB file (created if it does not exist), "pandas" for plain
            data frames (tests only), or a store.

    Raises:
        InvalidInputError: if `db` is none of these.
        StoreError: if the database cannot be opened.
    """
    if db is None:
        return DuckDBStore(":memory:")
    if isinstance(db, Store):
        return db
    if isinstance(db, (str, PathLike)):
        return PandasStore() if db == "pandas" else DuckDBStore(db)
    raise InvalidInputError(
        f"db must be None (in memory), a path of a DuckDB file, or a store; got {type(db).__name__}."
    )
