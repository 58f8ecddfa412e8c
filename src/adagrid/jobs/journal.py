"""What a worker tells about its work: reports and log messages. Never read by the run, and never fails it."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, final

import pandas as pd
from typing_extensions import override

from adagrid.errors import StoreError
from adagrid.jobs.environment import without_secrets
from adagrid.stores import Place, Store

_NOWHERE = Place(0, 0, 0)
_FLUSH_AT = 200


def _blotted(value: Any) -> Any:
    """Return a report without secrets in its texts."""
    if isinstance(value, dict):
        return {name: _blotted(item) for name, item in value.items()}
    return without_secrets(value) if isinstance(value, str) else value


@final
class Journal(logging.Handler):
    """Writes reports at once, and the messages of the "adagrid" logger in batches.

    Args:
        store: the job's store.
        worker_id: who writes.
    """

    def __init__(self, store: Store, worker_id: int) -> None:
        super().__init__(logging.INFO)
        self._store = store
        self._worker_id = worker_id
        self._messages: list[dict[str, Any]] = []

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
                    "content": json.dumps(_blotted(content)),
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
        if len(self._messages) >= _FLUSH_AT:
            self.flush()

    @override
    def flush(self) -> None:
        """Write the messages; a database that fails here fails the run elsewhere."""
        messages, self._messages = self._messages, []
        if messages:
            try:
                self._store.append({"logs": pd.DataFrame(messages)})
            except StoreError:
                self._messages = messages[-_FLUSH_AT // 2 :]
