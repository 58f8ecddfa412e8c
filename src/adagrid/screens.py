"""What the command line shows of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from adagrid._plain import plain
from adagrid.jobs.outcome import Status
from adagrid.jobs.wording import bounded_as, columns_of, estimated_as

if TYPE_CHECKING:
    import pandas as pd

    from adagrid.jobs import Look
    from adagrid.jobs.record import JobRecord

_CALIBRATED = ("level", "threshold")


def look_screen(look: Look) -> Group:
    """Return what a look at a job shows."""
    validate = look.record.kind == "validate"
    found = bounded_as(look.record, look.bound) if validate else f"threshold {look.threshold:.7g}"
    lines = [
        f"{look.record.method} {look.record.kind} job {look.record.job_id!r}: {look.status.name}",
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


def worst_table(record: JobRecord, rows: pd.DataFrame, active: int) -> Table:
    """Return a table of the worst tiles or cells of a job."""
    validate, dim = record.kind == "validate", len(record.theta_min)
    staged = record.method == "interpolated"
    what = "cells (boxes around them; the least simulations at a corner)" if staged else "active tiles"
    table = Table(title=f"Worst {len(rows)} of {active} {what}", title_justify="left")
    for name in ("theta", "half-width", "sims", *(columns_of(record) if validate else _CALIBRATED)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows.to_dict("records"):
        found = estimated_as(record, row) if validate else (f"{row['alpha0']:.3%}", f"{row['threshold']:.7g}")
        table.add_row(
            ", ".join(f"{row[f'theta{i}']:.3f}" for i in range(dim)),
            ", ".join(f"{row[f'radius{i}']:.1g}" for i in range(dim)),
            f"{row['n_sims']:,}",
            *found,
        )
    return table


def jobs_table(server: str, found: pd.DataFrame) -> Table:
    """Return a table of the jobs on a server, from what `list_jobs` returns."""
    table = Table(title=Text(f"{len(found)} jobs on {server}"), title_justify="left")
    for name in ("job_id", "what", "status", "last sign of life (UTC)", "MB"):
        table.add_column(name, no_wrap=name != "status", justify="right" if name == "MB" else "left")
    for row in found.to_dict("records"):
        what, status, sign = f"{row['method']} {row['kind']}, {row['model']}", row["status"], row["last_sign"]
        told = (row["problem"], "") if row["problem"] else (status, f"{sign:%Y-%m-%d %H:%M:%S}")
        texts = (row["job_id"], "?" if row["problem"] else what, *told, f"{row['megabytes']:.1f}")
        table.add_row(*(Text(plain(text)) for text in texts))
    return table
