"""Shows a person how a job is getting on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TypeAlias, cast, final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from adagrid.estimation import below_rounding
from adagrid.runtime.standard_error import StandardError
from adagrid.runtime.status import Status
from adagrid.stores.store import StepKey


@final
@dataclass(frozen=True)
class StepReport:
    """The report about a finished step, for callbacks.

    Steps that found nothing to do are reported too.

    Args:
        step: coordination, zone and number of the step.
        status: the step's outcome.
        n_tiles: tiles created by the step; in an interpolated job, points simulated.
        n_active: active tiles of the zone after the step; in an interpolated job, active cells.
        seconds: seconds since the run began.
        figures: the figures that were compared with the targets: before the step, or after the round of an interpolated
            job. May be empty.

    Examples:
        >>> reports = []
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> options = ada.RunOptions(callback=reports.append)
        >>> run = ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, options=options)
        >>> reports[0].n_active
        2
    """

    step: StepKey
    status: Status
    n_tiles: int
    n_active: int
    seconds: float
    figures: Mapping[str, float]


# Figures that are errors or parts of them.
_SHARES = (
    "expected error", "expected power", "bound", "estimate", "slack", "bias", "std", "grid cost", "confidence cost",
)  # fmt: skip

Line: TypeAlias = Callable[[StepReport, str], str]
Callback: TypeAlias = Callable[[StepReport], object]


@final
class ProgressDisplay:
    """A live line with the current step and packets, and one printed line per step.

    It goes to the standard error, and never fails. The standard output stays as it is.

    Args:
        show: None shows it where the standard error is a terminal.
        direction: 1.0 or -1.0, so that thresholds are shown as the design's author knows them.
        line: returns the line about a finished step, from its report and the text of its figures.
    """

    def __init__(self, show: bool | None, direction: float, line: Line = lambda _, figures: figures) -> None:
        self._line = line
        stream = StandardError()
        self._show = stream.isatty() if show is None else show
        self._direction = direction
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # notebooks' own displays need other libraries, and would write past the stream
            console=Console(file=cast("IO[str]", stream), force_jupyter=False),
            redirect_stdout=False,
            transient=True,
            disable=not self._show,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the live line away for a while, so that what a caller prints has a line of its own."""
        live = self._progress.live
        if not live.is_started:
            yield
            return
        live.stop()
        yield
        live.start(refresh=True)

    def begin(self, key: StepKey, n_tiles: int, unit: str = "tiles") -> None:
        """Show that a step simulates some tiles or points."""
        zone = f", zone {key.zone_id}" if key.zone_id else ""
        self._progress.reset(self._task, total=n_tiles, description=f"step {key.step_id}{zone}, {unit}")

    def advance(self, n_tiles: int) -> None:
        """Show that some of them are written."""
        self._progress.advance(self._task, n_tiles)

    def step(self, report: StepReport) -> None:
        """Print one line about a step."""
        if not self._show:
            return
        figures = ", ".join(f"{name} {self._text_of(name, value)}" for name, value in report.figures.items())
        self._progress.console.print(
            self._line(report, figures),
            highlight=False,
            no_wrap=True,
            overflow="ellipsis",
        )

    def warn(self, text: str) -> None:
        """Print what the person who started the job should know, whether or not progress is shown."""
        self._progress.console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def _text_of(self, name: str, value: float) -> str:
        if name.endswith("threshold"):
            return f"{self._direction * float(below_rounding(value)):.7g}"
        if "mean" in name or name == "its estimate":
            return f"{value:.6g}"
        return f"{value:.3%}" if name in _SHARES else f"{value:,.0f}"
