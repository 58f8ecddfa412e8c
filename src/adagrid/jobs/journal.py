"""What a worker tells about its work: reports and log messages. Never read by the run, and never fails it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from typing import Any, final

import pandas as pd
from typing_extensions import override

from adagrid.errors import StoreError
from adagrid.jobs.environment import blotted, without_secrets
from adagrid.stores import Place, Store

_NOWHERE = Place(0, 0, 0)
# Messages that are written together, and that wait at most while the database refuses them.
_FLUSH_AT, _KEPT = 200, 2000


@final
class Journal(logging.Handler):
    """Writes reports at once, and the messages of the "adagrid" logger in batches.

    Those of other threads wait for the one that owns the store; while the database refuses them, the latest are kept.

    Args:
        store: the job's store.
        worker_id: who writes.
    """

    def __init__(self, store: Store, worker_id: int) -> None:
        super().__init__(logging.INFO)
        self._store = store
        self._worker_id = worker_id
        self._messages: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._since = 0  # messages since the last try to write them
        self._thread = threading.get_ident()

    def report(self, kind: str, place: Place = _NOWHERE, packet_id: int = 0, **content: Any) -> pd.DataFrame:
        """Return one row for `reports`, to be written with the rows it tells about."""
        return pd.DataFrame(
            [
                {
                    "worker_id": self._worker_id,
                    "time": time.time(),
                    "kind": kind,
                    **vars(place),
                    "packet_id": packet_id,
                    "content": json.dumps(blotted(content)),
                }
            ]
        )

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

    @override
    def flush(self) -> None:
        """Write the messages, if this is the thread that may; a database that fails here fails the run elsewhere."""
        if not self._messages or threading.get_ident() != self._thread:
            return
        self._since = 0
        messages = list(self._messages)
        self._messages.clear()
        try:
            self._store.append({"logs": pd.DataFrame(messages)})
        except StoreError:
            self._messages.extendleft(reversed(messages))
