"""The databases of jobs on a ClickHouse server: which there are, and how to get rid of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from adagrid.errors import NotAJobError
from adagrid.stores._clickhouse_connection import Connect, Connection
from adagrid.stores._clickhouse_url import Address
from adagrid.stores.layout import every_table

_PATIENCE = 30.0  # seconds


def job_addresses(server: Address, connect: Connect | None = None) -> Sequence[Address]:
    """Return the jobs on a server, in the order of their names: databases that are called and built like ours.

    Raises:
        StoreError: if the server cannot be reached, or refuses.
    """
    with closing(Connection(server, _PATIENCE, connect)) as connection:
        found = connection.query("select database, name from system.tables order by database, name")
    addresses = ((server.job_in(str(database)), set(tables["name"])) for database, tables in found.groupby("database"))
    return [address for address, tables in addresses if address is not None and tables <= every_table()]


def stored_bytes(address: Address, connect: Connect | None = None) -> int:
    """Return how much of the server's disk a job takes."""
    with closing(Connection(address, _PATIENCE, connect)) as connection:
        sql = "select sum(bytes_on_disk) as n from system.parts where active and database = :database"
        return int(connection.query(sql, {"database": address.database})["n"].iloc[0])


def drop_database(address: Address, connect: Connect | None = None) -> None:
    """Drop a job's tables one by one, and then its database, which must be empty.

    Raises:
        NotAJobError: if the database holds anything but a job's tables; nothing is dropped then.
        StoreError: if the server cannot be reached, or refuses.
    """
    with closing(Connection(address, _PATIENCE, connect)) as connection:
        there = "select count(*) as n from system.databases where name = :database"
        if not connection.query(there, {"database": address.database})["n"].iloc[0]:
            raise NotAJobError(f"{address}: there is no database {address.database}.")
        tables = _tables(connection, address)
        if others := tables - every_table():  # none at all: dropping it was interrupted
            raise NotAJobError(
                f"{address}: the database {address.database} holds other tables ({', '.join(sorted(others)[:5])}), "
                "so it is left alone."
            )
        for name in sorted(tables):
            connection.command(f"drop table if exists {address.database}.{name}")
        if left := _tables(connection, address):
            raise NotAJobError(f"{address}: meanwhile the database got the tables {', '.join(sorted(left)[:5])}.")
        connection.command(f"drop database if exists {address.database}")


def _tables(connection: Connection, address: Address) -> set[str]:
    sql = "select name from system.tables where database = :database"
    return set(connection.query(sql, {"database": address.database})["name"])
