"""A store whose process ends at one of its writes."""

from __future__ import annotations

from adagrid.testing.pandas_store import PandasStore


class Killed(Exception):
    """The process ends."""


class KilledStore(PandasStore):
    """Ends before or in the middle of one of its writes."""

    def __init__(self, after, half):
        super().__init__()
        self.after, self.half, self.writes = after, half, 0

    def append(self, rows):
        self.writes += 1
        if self.writes == self.after:
            if self.half:
                super().append({name: frame[: len(frame) // 2] for name, frame in rows.items()})
            raise Killed
        super().append(rows)
