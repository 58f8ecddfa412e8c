"""Which jobs a ClickHouse server keeps, and dropping one of them."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit

import pandas as pd

from adagrid.errors import InvalidInputError, StoreError
from adagrid.records import read_records
from adagrid.runtime.reported_status import reported_status
from adagrid.stores._clickhouse_connection import Connect
from adagrid.stores._clickhouse_databases import drop_database, job_addresses, stored_bytes
from adagrid.stores._clickhouse_url import Address, read_url
from adagrid.stores.clickhouse import ClickHouseStore

_COLUMNS = ("job_id", "url", "kind", "method", "model", "status", "started", "last_sign", "megabytes", "problem")


def list_jobs(url: str, *, connect: Connect | None = None) -> pd.DataFrame:
    """Return the jobs on a ClickHouse server.

    Args:
        url: `clickhouse://user@host:port`, and `?secure=true` for HTTPS.
        connect: opens a connection, for engines that need a special one.

    Returns:
        One row per job, in the order of their names. Columns: `job_id` (the name in the URL), `url`, `kind`, `method`,
        `model`, `status`, `started`, `last_sign` (the last write; both times are UTC), `megabytes` on the server's
        disk, and `problem`: the reason why the job cannot be read, or an empty text.

    Raises:
        InvalidInputError: if the URL is not the URL of a server.
        StoreError: if the server cannot be reached, or refuses.

    Examples:
        >>> jobs = ada.list_jobs("clickhouse://user@host:9440?secure=true")  # doctest: +SKIP
        >>> jobs[["job_id", "status", "last_sign"]]  # doctest: +SKIP
    """
    rows = []
    for address in job_addresses(read_url(url, server=True), connect):
        own = {"job_id": address.job_id, "url": str(address), "megabytes": stored_bytes(address, connect) / 1e6}
        rows.append(own | _described(address, connect))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def drop_job(url: str, *, confirm: str, connect: Connect | None = None) -> None:
    """Drop a job on a ClickHouse server for good.

    Its tables and its database are deleted.

    Args:
        url: the URL of the job.
        confirm: the job_id, to confirm.
        connect: opens a connection, for engines that need a special one.

    Raises:
        InvalidInputError: if the URL names no job, or `confirm` differs from the job_id.
        NotAJobError: if the database holds anything but a job; nothing is dropped then.
        StoreError: if the server cannot be reached, or refuses.

    Examples:
        >>> url = "clickhouse://user@host:9440/trial-7?secure=true"
        >>> ada.drop_job(url, confirm="trial-7")  # doctest: +SKIP
    """
    address = read_url(url)
    if not urlsplit(url).path.strip("/"):  # a local server would make up a name
        raise InvalidInputError("The URL of a job to drop must name it: write its job_id at the end.")
    if confirm != address.job_id:
        raise InvalidInputError(
            f"Dropping a job needs its job_id once more, {address.job_id!r}; got {confirm!r}. Nothing was dropped."
        )
    drop_database(address, connect)


def _described(address: Address, connect: Connect | None) -> dict[str, object]:
    """Return the description of a job from its tables."""
    try:
        with closing(ClickHouseStore(str(address), connect=connect)) as store:
            record, times = read_records(store)[-1], store.table("config")["time"]
            signs = pd.concat([times, store.table("reports")["time"]])
            return {
                "kind": record.kind,
                "method": record.method.name,
                "model": record.model.name.partition(":")[2],
                "status": reported_status(store).name,
                "started": pd.Timestamp(times.iloc[0], unit="s"),
                "last_sign": pd.Timestamp(signs.max(), unit="s"),
                "problem": "",
            }
    except (StoreError, KeyError) as error:  # also a status that another version has written
        return {"problem": str(error)}
