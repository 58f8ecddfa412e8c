"""What the command line shows of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from adagrid._plain import plain
from adagrid.results.wording import bounded_as, columns_of, estimated_as
from adagrid.runtime.status import Status

if TYPE_CHECKING:
    import pandas as pd

    from adagrid.records import JobRecord
    from adagrid.results.view import JobSnapshot

_CALIBRATED = ("level", "threshold")
_SIGN = "last sign of life (UTC)"
# No terminal is as wide.
_WIDE = 10_000


def console() -> Console:
    """Return a console for the standard output, which is as wide as need be where it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDE)


def snapshot_screen(look: JobSnapshot) -> Group:
    """Return what a look at a job shows."""
    validate = look.record.kind == "validate"
    found = bounded_as(look.record, look.bound) if validate else f"threshold {look.threshold:.7g}"
    lines = [
        f"{look.record.method.name} {look.record.kind} job {look.record.job_id!r}: {look.status.name}",
        f"So far      {found} ({look.guarantee})",
        "Work        " + ", ".join(f"{number:,} {name}" for name, number in look.counts.items()),
        *(
            f"Slack       {row['column']}: mean {row['mean']:.3%}, at most {row['greatest']:.3%}"
            for row in look.slack.to_dict("records")
        ),
        *(
            f"Worker {row['worker_id']:<5}{row['simulations']:,.0f} simulations per second, last sign of life "
            f"{look.time - row['last_sign']:,.0f} s ago"
            for row in look.workers.to_dict("records")
            if look.status is Status.NEW_STEP
        ),
    ]
    return Group(Text("\n".join(map(plain, lines))), worst_table(look.record, look.worst, look.counts["active"]))


@final
class Fitting:
    """A table that loses whole columns where a terminal is too narrow, and names them.

    Args:
        title: what the table shows.
        columns: the cells of every column, by its name.
        spare: names of columns that may be lost, the first one first.
        left: whether columns are aligned on the left.
    """

    def __init__(self, title: str, columns: Mapping[str, Sequence[str]], spare: Sequence[str], *, left: bool) -> None:
        self._title, self._columns, self._spare, self._left = title, columns, spare, left

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lost: list[str] = []
        for name in (*self._spare, None):
            table = self._table([column for column in self._columns if column not in lost])
            wide = console.measure(table, options=options.update(max_width=_WIDE)).maximum
            if wide <= options.max_width or name is None:
                break
            lost.append(name)
        yield table
        if lost:
            yield Text(f"Too narrow for the columns {', '.join(lost)}: widen the terminal, or send this to a file.")

    def _table(self, names: Sequence[str]) -> Table:
        table = Table(title=Text(plain(self._title), "table.title"), title_justify="left")
        for name in names:
            table.add_column(name, justify="left" if self._left else "right", overflow="fold")
        for row in zip(*(self._columns[name] for name in names), strict=True):
            table.add_row(*(Text(plain(text)) for text in row))
        return table


def worst_table(record: JobRecord, rows: pd.DataFrame, active: int) -> Fitting:
    """Return a table of the worst tiles or cells of a job."""
    validate, dim = record.kind == "validate", len(record.theta_min)
    found = columns_of(record) if validate else _CALIBRATED
    columns: dict[str, list[str]] = {name: [] for name in ("theta", "half-width", "sims", *found)}
    for row in rows.to_dict("records"):
        values = estimated_as(record, row) if validate else (f"{row['alpha0']:.3%}", f"{row['threshold']:.7g}")
        texts = (
            ", ".join(f"{row[f'theta{i}']:.3f}" for i in range(dim)),
            ", ".join(f"{row[f'radius{i}']:.1g}" for i in range(dim)),
            f"{row['n_sims']:,}",
            *values,
        )
        for name, text in zip(columns, texts, strict=True):
            columns[name].append(text)
    spare = ["half-width", "sims", *found[:-1]]
    return Fitting(f"Worst {len(rows)} of {active} {record.method.words_for.rows}", columns, spare, left=False)


def jobs_table(server: str, found: pd.DataFrame) -> Fitting:
    """Return a table of the jobs on a server, from what `list_jobs` returns."""
    columns: dict[str, list[str]] = {name: [] for name in ("job_id", "what", "status", _SIGN, "MB")}
    for row in found.to_dict("records"):
        what, status, sign = f"{row['method']} {row['kind']}, {row['model']}", row["status"], row["last_sign"]
        told = (row["problem"], "") if row["problem"] else (status, f"{sign:%Y-%m-%d %H:%M:%S}")
        texts = (row["job_id"], "?" if row["problem"] else what, *told, f"{row['megabytes']:.1f}")
        for name, text in zip(columns, texts, strict=True):
            columns[name].append(text)
    return Fitting(f"{len(found)} jobs on {server}", columns, ["MB", "what", _SIGN], left=True)
