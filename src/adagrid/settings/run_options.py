"""What steers a run of a job without changing its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, final

if TYPE_CHECKING:
    from adagrid.runtime.progress import Callback
    from adagrid.stores import Store

BackupTo: TypeAlias = "str | PathLike[str] | Callable[[], Store]"
"""Where a job is backed up to: a DuckDB file, a job on a ClickHouse server, or what a function opens."""


@final
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run that do not change its answer.

    Args:
        n_steps: the most steps of a zone, including the initial grid; in an interpolated job, the most rounds.
        packet_size: tiles or points that are simulated and written together; None lets adagrid choose.
        tile_batch_size: tiles or points whose simulations are in memory together; None lets adagrid choose.
        family_lines: lines of three points on which simulations test the declared family (docs/family.md).
        family_sims: simulations at each of these points.
        job_id: name of a new job; None generates one.
        callback: called with a StepReport after every step.
        accept_changed_model: whether to continue although the design, or the class of a null hypothesis, differs from
            the recorded one.
        backup: copy of the job that is updated while it runs: the path of a DuckDB file or the URL of a job on a
            ClickHouse server. The update happens in the background, at every coordination and at the end. If the
            copy cannot be reached, the job goes on with a warning. The job does not record this option: give it again
            to continue.
        snapshot: path of a DuckDB file for other programs to read. It is replaced by the current state of the job at
            every coordination and at the end.

    Examples:
        >>> ada.RunOptions(n_steps=5, job_id="trial-7").n_steps
        5
    """

    n_steps: int = 100
    packet_size: int | None = None
    tile_batch_size: int | None = None
    family_lines: int = 8
    family_sims: int = 512
    job_id: str | None = None
    callback: Callback | None = None
    accept_changed_model: bool = False
    backup: BackupTo | None = None
    snapshot: str | PathLike[str] | None = None

    def settings(self) -> dict[str, Any]:
        """Return the values that are recorded with the job, by name."""
        names = ("n_steps", "packet_size", "tile_batch_size", "family_lines", "family_sims")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the values."""
        return frozenset(field.name for field in fields(cls))
