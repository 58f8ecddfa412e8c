"""The command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from adagrid.errors import AdagridError

app = typer.Typer(
    name="adagrid",
    help="Bounds on the Type I Error of a clinical-trial design over a whole region of parameters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Database = Annotated[Path, typer.Argument(help="The DuckDB file of a job.")]


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the two databases go.")] = Path("adagrid-demo"),
) -> None:
    """Judge a claim about a small two-arm trial, and mend the design. Takes less than a minute."""
    from adagrid.demo import run_demo

    _explained(lambda: run_demo(folder, Console()))


@app.command()
def show(
    db: Database,
    tiles: Annotated[int, typer.Option(help="How many of the worst tiles to list.", min=0)] = 10,
) -> None:
    """Show what a job found, and its worst tiles."""
    _explained(lambda: _show(db, tiles))


@app.command()
def verify(db: Database) -> None:
    """Check that the tables of a job agree with each other."""
    _explained(lambda: _verify(db))


@app.command()
def version() -> None:
    """Print the version."""
    import adagrid

    typer.echo(adagrid.__version__)


def _show(db: Path, tiles: int) -> None:
    from adagrid.jobs import open_job

    console = Console()
    with open_job(db) as run:
        console.print(run.summary(), highlight=False, soft_wrap=True)
        if not tiles:
            return
        validate = run.record.kind == "validate"
        results = run.results().sort_values(
            ["tie_bound" if validate else "lambda_star", "id"], ascending=[not validate, True]
        )
        names = [name for name in results.columns if name.startswith(("theta", "radius"))]
        names += ["n_sims"]
        names += ["tie_estimate", "tie_point_bound", "tie_bound"] if validate else ["alpha0", "threshold"]
        table = Table(title=f"Worst {min(tiles, len(results))} of {len(results)} active tiles", title_justify="left")
        for name in names:
            table.add_column(name, justify="right")
        for row in results[names].head(tiles).itertuples(index=False):
            table.add_row(*(f"{value:,}" if isinstance(value, int) else f"{value:.6g}" for value in row))
        console.print(table)


def _verify(db: Path) -> None:
    from adagrid.jobs import open_job

    with open_job(db) as run:
        run.verify()
        typer.echo(f"{db}: all relations between the tables hold.")


def _explained(action: Callable[[], object]) -> None:
    """Run an action; an error of ours is a message, not a traceback."""
    try:
        action()
    except (AdagridError, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.secho("Interrupted. What was finished is saved: run the same command again to go on.", err=True)
        raise typer.Exit(130) from None
