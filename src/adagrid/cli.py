"""The command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

import adagrid
from adagrid import screens
from adagrid.errors import AdagridError, CorruptStoreError, InvalidInputError, NotAJobError

app = typer.Typer(
    name="adagrid",
    help="Bounds on the Type I Error of a clinical-trial design over a whole region of parameters.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)

Database = Annotated[str, typer.Argument(help="The DuckDB file of a job, or its clickhouse:// URL.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(adagrid.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Run a command, after what the option has printed."""
    del version


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the two databases go.")] = Path("adagrid-demo"),
) -> None:
    """Test a claim about a small two-arm trial, then correct the design. Takes less than a minute."""
    _explained(lambda: adagrid.demo.run_demo(folder, Console()), saved="")


@app.command()
def show(
    db: Database,
    tiles: Annotated[int, typer.Option(help="How many of the worst tiles to list.", min=0)] = 10,
) -> None:
    """Show what a job found, and its worst tiles."""
    _explained(lambda: _show(db, tiles), saved="")


@app.command()
def watch(
    db: Database,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    worst: Annotated[int, typer.Option(help="How many of the worst tiles to list.", min=0)] = 5,
) -> None:
    """Watch a job until it ends: a job on a server, or the snapshots of one that runs elsewhere."""
    _explained(lambda: _watch(db, every, worst), saved="")


@app.command()
def verify(db: Database) -> None:
    """Check that the tables of a job agree with each other."""
    _explained(lambda: _verify(db), saved="")


@app.command()
def jobs(server: Annotated[str, typer.Argument(help="A server: clickhouse://user@host:port")]) -> None:
    """List the jobs on a ClickHouse server."""
    _explained(lambda: _jobs(server))


@app.command()
def drop(
    db: Annotated[str, typer.Argument(help="A job on a ClickHouse server: clickhouse://user@host:port/job_id")],
    confirm: Annotated[str | None, typer.Option(help="The job_id once more, instead of being asked.")] = None,
) -> None:
    """Drop a job on a ClickHouse server for good."""
    _explained(lambda: _drop(db, confirm))


@app.command()
def export(
    db: Database,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    format: Annotated[str, typer.Option(help="parquet, or csv (compressed with gzip).")] = "parquet",  # noqa: A002
) -> None:
    """Write a job to a folder of Parquet or CSV files that last, with a manifest of them."""
    _explained(lambda: _export(db, folder, format))


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="What `adagrid export` wrote.")],
    db: Annotated[str, typer.Argument(help="A new DuckDB file, or the clickhouse:// URL of a new job.")],
) -> None:
    """Read an export into a database; every file is checked first, and the job verified afterwards."""
    _explained(lambda: _import(folder, db))


@app.command()
def copy(
    source: Database,
    target: Annotated[str, typer.Argument(help="A DuckDB file or clickhouse:// URL, new or with an earlier copy.")],
) -> None:
    """Copy a job to another database, and verify the copy. Repeated, it copies only what is new."""
    _explained(lambda: _copy(source, target))


@app.command()
def snapshot(
    db: Database,
    path: Annotated[Path, typer.Argument(help="A DuckDB file, new or with an earlier snapshot of the job.")],
) -> None:
    """Write a job as it stands to a DuckDB file that others may read."""
    _explained(lambda: _snapshot(db, path))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(adagrid.__version__)


def _show(db: str, tiles: int) -> None:
    console = screens.console()
    with adagrid.open_job(db) as run:
        console.print(run.summary(), highlight=False, markup=False, soft_wrap=True)
        console.print(screens.worst_table(run.record, run.worst_tiles(tiles), run.counts()["active"]))
        try:
            run.verify()
        except CorruptStoreError as error:
            console.print("Do not use this certificate.", style="bold red")
            console.print(str(error), markup=False, soft_wrap=True)
            raise typer.Exit(1) from None


def _watch(db: str, every: float, worst: int) -> None:
    with Live(console=screens.console(), auto_refresh=False, redirect_stdout=False) as live:
        while True:
            if adagrid.stores.is_url(db) or Path(db).exists():
                with adagrid.open_view(db) as view:  # a snapshot is another file every time
                    look = view.look(worst=worst)
                live.update(screens.snapshot_screen(look), refresh=True)
                if look.status is not adagrid.Status.NEW_STEP:
                    return
            else:
                live.update(Text(f"There is no file {db!r} yet: waiting for the job's first snapshot."), refresh=True)
            time.sleep(every)


def _verify(db: str) -> None:
    with adagrid.open_job(db) as run:
        run.verify()
        typer.echo(f"{run.db}: all relations between the tables hold.")


def _jobs(server: str) -> None:
    screens.console().print(screens.jobs_table(server, adagrid.list_jobs(server)))


def _drop(db: str, confirm: str | None) -> None:
    if not adagrid.stores.is_url(db):
        raise InvalidInputError("Only jobs on a server are dropped. A job in a DuckDB file: delete it, and its .wal.")
    if confirm is None:
        try:
            with adagrid.open_job(db) as run:
                typer.echo(f"{run.summary()}\n")
        except NotAJobError as error:  # what is left of an interrupted start may be dropped too
            typer.echo(f"{error}\n")
        confirm = typer.prompt("Nothing can bring it back. Type its job_id to drop it").strip()
    adagrid.drop_job(db, confirm=confirm)
    typer.echo(f"Dropped {db}.")


def _export(db: str, folder: Path, format: str) -> None:  # noqa: A002
    with adagrid.open_job(db) as run:
        run.export(folder, format)  # type: ignore[arg-type] # checked there
        typer.echo(f"{run.db}: the job {run.record.job_id!r} is exported to {folder}.")


def _import(folder: Path, db: str) -> None:
    with adagrid.import_job(folder, db) as run:
        typer.echo(f"{run.db} holds the job {run.record.job_id!r}; all relations between the tables hold.")


def _copy(source: str, target: str) -> None:
    copied = {name: rows for name, rows in adagrid.copy_job(source, target).items() if rows}
    listed = ", ".join(f"{rows:,} rows of {name}" for name, rows in copied.items()) or "nothing was new"
    typer.echo(f"Copied to {target}: {listed}. All relations between its tables hold.")


def _snapshot(db: str, path: Path) -> None:
    with adagrid.open_job(db) as run:
        run.snapshot(path)
        typer.echo(f"{path} holds the job {run.record.job_id!r} as it stands.")


def _explained(
    action: Callable[[], object], *, saved: str = " What was finished is saved: run the same command again to go on."
) -> None:
    """Run an action; an error of ours is a message, not a traceback; `saved` is what an interrupt leaves."""
    try:
        action()
    except BrokenPipeError:  # click ends quietly when the reader of a pipe has gone
        raise
    except (AdagridError, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as interrupt:
        if not hasattr(interrupt, "__notes__"):  # the job that ran has said what is saved
            typer.secho(f"Interrupted.{saved}", err=True)
        raise typer.Exit(130) from None
