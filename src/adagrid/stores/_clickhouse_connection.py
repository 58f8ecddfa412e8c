"""A connection to a ClickHouse server that asks again when the network fails, and explains what went wrong."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

import numpy as np
import pandas as pd

from adagrid._optional import require
from adagrid._secrets import PASSWORD
from adagrid.errors import NotAJobError, StoreBusyError, StoreError
from adagrid.stores._clickhouse_url import Address

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")
Connect: TypeAlias = "Callable[[Address], Client]"
"""Opens a connection to a server."""

TYPES: Mapping[type, str] = {
    np.uint64: "UInt64",
    np.int64: "Int64",
    np.uint32: "UInt32",
    np.uint8: "UInt8",
    np.float64: "Float64",
    np.float32: "Float32",
    str: "String",
}
"""What the server calls the types of columns."""
_KINDS = {name: kind for kind, name in TYPES.items()}

# The server's numbers of errors.
_BUSY = 202  # too many queries at once
_TRANSIENT = {
    _BUSY,
    209,  # a socket timed out
    210,  # the network failed
    236,  # aborted: the server is shutting down
    252,  # too many parts: merges lag behind
    319,  # the fate of an insert is unknown
    394,  # cancelled: the server is shutting down
    999,  # the coordination service of a replicated server failed
}
_REFUSED = {192, 193, 194, 497, 516}  # unknown user, wrong or no password, not allowed, authentication failed
_ABSENT = {60, 81}  # unknown table, unknown database
# A server that was never reached may be a typing error, which is reported soon (seconds). The port of another service
# may accept a connection and be silent for ever.
_PATIENCE_AT_FIRST, _ANSWER_AT_FIRST = 3.0, 5
# Seconds that a server may take to accept a connection, and to answer.
_CONNECT, _ANSWER = 10, 300
_UNKNOWN_IDENTIFIER = 47


@final
class Connection:
    """A connection of one thread. The password stays in the environment and in the client library.

    Args:
        address: the job's.
        patience: for how many seconds to try again when the network fails.
        connect: opens the connection; for engines that need a special one.

    Raises, from every method: `StoreError`.
    """

    def __init__(self, address: Address, patience: float, connect: Connect | None = None) -> None:
        self._address = address
        self._errors: Any = require("clickhouse_connect.driver.exceptions", "clickhouse")
        self._network_error: Any = require("urllib3.exceptions", "clickhouse").HTTPError
        self._tenacity: Any = require("tenacity", "clickhouse")
        self._patience = min(patience, _PATIENCE_AT_FIRST)
        self._empty: dict[str, pd.DataFrame] = {}  # what queries give when there are no rows
        self._client: Client | None = None
        self._client = self._patiently(lambda: (connect or _connect)(address))
        self._patience = patience
        _adapt(self._client)

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Run a query; :name in the text stands for the value of that name."""
        return self._patiently(lambda: self._ask(sql, values))

    def command(self, sql: str) -> None:
        """Run a statement that may run twice."""
        self._patiently(lambda: self._open.command(sql))

    def insert(self, name: str, frame: pd.DataFrame, kinds: Mapping[str, type], identity: tuple[str, ...]) -> None:
        """Insert rows.

        When the connection fails, the server may have stored some: only those that it lacks are sent again.

        Args:
            name: a table.
            frame: the rows.
            kinds: the types of their columns.
            identity: columns that identify rows.
        """
        types = [TYPES[kinds[str(column)]] for column in frame.columns]
        tried = False

        def insert() -> None:
            nonlocal tried
            rows = self._missing(name, frame, identity) if tried else frame
            tried = True
            if len(rows):
                self._open.insert_df(name, rows, column_names=list(rows.columns), column_type_names=types)

        self._patiently(insert)

    def use_database(self) -> None:
        """Let names of tables mean those of the job."""
        if self._open.database != self._address.database:
            self._open.database = self._address.database

    def close(self) -> None:
        """Close the connection; idempotent."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _open(self) -> Client:
        if self._client is None:
            raise StoreError(f"{self._address} is closed. Open the job again with adagrid.open_job.")
        return self._client

    def _ask(self, sql: str, values: Mapping[str, Any] | None = None) -> pd.DataFrame:
        bound = dict(values or {})
        text = re.sub(r":([a-z_]+)", r"%(\1)s", sql.replace("%", "%%")) if bound else sql
        frame = self._open.query_df(text, parameters=bound)
        if not len(frame.columns):  # the server says nothing at all when there are no rows
            if sql not in self._empty:
                told = self._open.query_df(f"describe ({text})", parameters=bound)
                columns = zip(told["name"], told["type"], strict=True)
                self._empty[sql] = pd.DataFrame({name: np.empty(0, _KINDS.get(kind, object)) for name, kind in columns})
            frame = self._empty[sql].copy()
        texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
        return frame.astype(dict.fromkeys(texts, str if len(frame) else object))

    def _missing(self, name: str, frame: pd.DataFrame, identity: tuple[str, ...]) -> pd.DataFrame:
        """Return the rows that a table lacks."""
        columns = list(identity)
        sql, values = f"select distinct {', '.join(columns)} from {name}", {}
        if "time" in identity:  # no need for the whole log
            sql, values = f"{sql} where time >= :since", {"since": float(frame["time"].min())}
        stored = set(self._ask(sql, values)[columns].itertuples(index=False, name=None))
        return frame[[row not in stored for row in frame[columns].itertuples(index=False, name=None)]]

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something again while the network fails, for as long as patience lasts."""
        retrying = self._tenacity.Retrying(
            retry=self._tenacity.retry_if_exception(self._is_transient),
            wait=self._tenacity.wait_random_exponential(multiplier=0.2, max=10.0),
            stop=self._tenacity.stop_after_delay(self._patience),
            reraise=True,
        )
        try:
            return retrying(action)
        except (self._errors.ClickHouseError, self._network_error) as error:
            raise self._explained(error) from error

    def _is_transient(self, error: BaseException) -> bool:
        kinds = (self._errors.OperationalError, self._network_error)
        return isinstance(error, kinds) or _code(error) in _TRANSIENT

    def _explained(self, error: Exception) -> StoreError:
        text, code = _without_password(str(error)), _code(error)
        if code in _ABSENT:
            return NotAJobError(f"{self._address} holds no job yet, or a part of one only ({text}).")
        if code in _REFUSED:
            return StoreError(
                f"{self._address}: the server refuses this user. The password must be in the environment variable "
                f"{PASSWORD} ({text})."
            )
        if code == _BUSY:
            return StoreBusyError(f"{self._address}: the server has too much to do. Continue the job later ({text}).")
        if self._client is None and code == _UNKNOWN_IDENTIFIER:
            return StoreError(
                f"{self._address}: this ClickHouse server is too old for the client library. Use ClickHouse 25.3 or "
                f"later ({text})."
            )
        if self._client is None and self._is_transient(error):
            return StoreError(
                f"{self._address} cannot be reached. Check the host, whether its server runs, and the port, which must "
                f"be that for HTTP: mostly 8123, with secure=true 8443 ({text})."
            )
        if self._is_transient(error):
            return StoreError(
                f"{self._address} cannot be reached, though it was tried for {self._patience:g} seconds. What was "
                f"written is safe: continue the job, with the same arguments, when the server is back ({text})."
            )
        return StoreError(f"{self._address}: {text}")


def _connect(address: Address) -> Client:
    """Open a connection with the password of the environment."""
    library: Any = require("clickhouse_connect", "clickhouse")
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what matters is in our errors
    client: Any = library.get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=os.environ.get(PASSWORD, ""),
        interface="https" if address.secure else "http",
        autogenerate_session_id=False,  # nothing here needs a session, which would allow one query at a time
        connect_timeout=_ANSWER_AT_FIRST,
        send_receive_timeout=_ANSWER_AT_FIRST,
    )
    timeouts: Any = require("urllib3", "clickhouse").Timeout
    client.timeout = timeouts(connect=_CONNECT, read=_ANSWER)
    return client


def _adapt(client: Client) -> None:
    """Ask the server for what we rely on: what was inserted can be read."""
    if "async_insert" in client.server_settings:  # since 21.11
        client.set_client_setting("async_insert", 0)
    cloud = client.server_settings.get("cloud_mode")
    if cloud is not None and str(cloud.value) == "1":  # replicas that may lag behind each other
        client.set_client_setting("select_sequential_consistency", 1)


def _code(error: BaseException) -> int | None:
    """Return the server's number of an error; old servers say it in the text only."""
    code = getattr(error, "code", None)
    found = re.search(r"\bCode: (\d+)", str(error)) if code is None else None
    return int(found[1]) if found else code


def _without_password(text: str) -> str:
    password = os.environ.get(PASSWORD)
    return text.replace(password, "***") if password else text
