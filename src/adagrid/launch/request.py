"""What a caller of an entry point asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from adagrid.backends import Backend
from adagrid.grid import Grid
from adagrid.models import Model
from adagrid.settings.goals import Kind
from adagrid.settings.method import Method
from adagrid.settings.run_options import RunOptions


@final
@dataclass(frozen=True)
class Request:
    """What a caller asks for, of a new job or of one that exists.

    Args:
        kind: "validate" or "calibrate".
        model: the design.
        grid: the region; None continues the job that is there.
        values: settings by name: of the goal, of the method if it was given, and all others.
        method: how to certify a new job; the job's own method, or the default, if None.
        method_name: the method that was asked for; None if any is right.
        overrides: settings to change when a job is continued, by name.
        options: what steers the run.
        backend: where work runs; None chooses this process.
        progress: whether to show progress; None shows it where the standard error is a terminal.
    """

    kind: Kind
    model: Model
    grid: Grid | None
    values: Mapping[str, Any]
    method: Method
    method_name: str | None
    overrides: Mapping[str, Any]
    options: RunOptions
    backend: Backend | None
    progress: bool | None
