"""What a backup must hold, and waiting for the thread that makes it."""

from __future__ import annotations

import threading
import time

import pandas as pd

import adagrid as ada

EVERY = ada.LocalBackend(coordinate_every=1)


def assert_backed_up(run, copy):
    """All but what was said about the backup itself, after it."""
    for name in copy.schema.tables:
        original, there = run._store.table(name), copy.table(name)
        if name == "logs":
            assert original["message"][len(there) :].str.contains("backup|snapshot").all()
            original = original[: len(there)]
        if name != "schema":
            pd.testing.assert_frame_equal(there, original, check_exact=True, obj=name)


def at_work():
    """Return whether some backup is being made."""
    return any(thread.name.startswith("adagrid") for thread in threading.enumerate())


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
