"""Writes reports and log messages of a worker. The run never reads them, and they never fail it.

Reports and messages that can wait are written together with rows that cannot: they cost no statement of their own, and
only a kill in between loses them.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

import pandas as pd
from typing_extensions import override

from adagrid.errors import StoreError
from adagrid.runtime.environment import blotted, without_secrets
from adagrid.stores import Store
from adagrid.stores.store import StepKey
from adagrid.stores.tables import Table

_NO_STEP = StepKey(0, 0, 0)
# Messages that are written together, and that wait at most while the database refuses them.
_FLUSH_AT, _MOST_WAITING = 200, 2000
# Seconds that messages wait for others at the end of a step.
_WAIT = 1.0


@final
class Journal(logging.Handler):
    """Writes reports with other rows, and the messages of the "adagrid" logger in batches.

    Messages of other threads wait for the one that owns the store; while the database refuses them, the latest are
    kept.

    Args:
        store: the job's store.
        worker_id: who writes.
    """

    def __init__(self, store: Store, worker_id: int) -> None:
        super().__init__(logging.INFO)
        self._store = store
        self._worker_id = worker_id
        self._messages: deque[dict[str, Any]] = deque(maxlen=_MOST_WAITING)
        self._since = 0  # messages since the last try to write them
        self._flushed = time.monotonic()
        self._reports: list[pd.DataFrame] = []
        self._thread = threading.get_ident()

    def report(self, kind: str, key: StepKey = _NO_STEP, packet_id: int = 0, **content: Any) -> pd.DataFrame:
        """Return one row for `reports`, to be written with the rows that it describes."""
        return pd.DataFrame(
            [
                {
                    "worker_id": self._worker_id,
                    "time": time.time(),
                    "kind": kind,
                    **vars(key),
                    "packet_id": packet_id,
                    "content": json.dumps(blotted(content)),
                }
            ]
        )

    def hold(self, report: pd.DataFrame) -> None:
        """Let a report wait for the rows that are written next."""
        self._reports.append(report)

    def append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        """Write rows, and with them the reports that wait."""
        if self._reports:
            own = [frames["reports"]] if "reports" in frames else []
            frames = {**frames, "reports": pd.concat([*self._reports, *own], ignore_index=True)}
        self._store.append(frames)
        self._reports = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(
            {
                "worker_id": self._worker_id,
                "time": record.created,
                "level": record.levelname,
                "logger": record.name,
                "message": without_secrets(record.getMessage()),
            }
        )
        self._since += 1
        if self._since >= _FLUSH_AT:
            self.flush()

    def pause(self) -> None:
        """Write the messages at the end of a step, unless some were written a moment ago."""
        if time.monotonic() - self._flushed >= _WAIT:
            self.flush()

    @override
    def flush(self) -> None:
        """Write what waits, if this is the thread that may; a database that fails here fails the run elsewhere."""
        if threading.get_ident() != self._thread:
            return
        if self._reports:
            with suppress(StoreError):
                self.append({})
        if not self._messages:
            return
        self._since, self._flushed = 0, time.monotonic()
        messages = list(self._messages)
        self._messages.clear()
        try:
            self._store.append({"logs": pd.DataFrame(messages)})
        except StoreError:
            self._messages.extendleft(reversed(messages))
