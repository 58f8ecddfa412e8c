"""What a step costs in jobs of millions of tiles, against the naive form that looks at all of them in every step.

    python benchmarks/scale.py                                  # DuckDB, 1, 5 and 10 million tiles
    python benchmarks/scale.py --tiles 1 5 --engines clickhouse-18 clickhouse-modern

A calibration in two dimensions with 50 bootstrap columns. Tiles are written in bulk; then steps run as in a job, but
for the simulations, whose results are made up. Each step refines 10,000 parents into 40,000 children. Every line is
measured in new processes. clickhouse-18 needs the server that `python -m tests.support.clickhouse_server` starts; the
modern engine runs in the process. Needs 250 bytes a tile on the disk, 1 kB a tile of memory for the naive form. Prints
markdown tables; what has been measured so far goes to the standard error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measuring import Times, in_ms, machine, table, times_as_fast, wait_until_quiet

Line = dict[str, Any]

_LOOK, _INSERT = "look at ", "insert "


def measure(engine: str, millions: float, steps: int, folder: Path, patience: float) -> Line:
    """Fill a database, run steps on it, and ask the naive form's questions."""
    print(f"{engine}: {millions:g} million tiles", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        where = stack.enter_context(_place(engine, folder))
        line: Line = {"engine": engine, "tiles": f"{millions:g} M"}
        for what in ("fill", "ours", "naive"):
            wait_until_quiet(patience)
            line[what] = _run(what, engine, where, str(int(millions * 1e6)), str(steps))
            print(json.dumps(line[what]), file=sys.stderr, flush=True)
    return line


@contextmanager
def _place(engine: str, folder: Path) -> Iterator[str]:
    """Yield where an empty database is to be."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="scale-") as name:
        if engine != "clickhouse-18":
            yield str(Path(name) / ("job.duckdb" if engine == "duckdb" else "chdb"))
            return
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from tests.support.clickhouse_server import ClickHouseServer

        server = ClickHouseServer(Path(name))
        server.start()
        try:
            yield server.url("scale")
        finally:
            server.stop()


def _run(*arguments: str) -> Any:
    script = Path(__file__).with_name("scale_one.py")
    done = subprocess.run([sys.executable, str(script), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _times(line: Line, *prefixes: str) -> Times:
    """Return the times of what begins with a prefix, added up step by step."""
    return Times.of(
        [sum(value for name, value in step.items() if name.startswith(prefixes)) for step in line["ours"]["steps"]]
    )


def _naive(line: Line, name: str) -> Times:
    return Times.of(line["naive"][name])


def _step(line: Line) -> list[str]:
    of = lambda *prefixes: str(_times(line, *prefixes))  # noqa: E731 - said once
    return [
        line["engine"],
        line["tiles"],
        f"**{of('choose')}**",
        of("convergence"),
        of("advance"),
        of(_LOOK),
        of("insert tiles"),
        of("insert results"),
        of("insert done", "insert steps", "insert reports"),
        f"**{of(_LOOK, _INSERT)}**",
    ]


def _against(line: Line) -> list[str]:
    cells = [line["engine"], line["tiles"]]
    for name, prefixes in (("choose", ["choose"]), ("convergence", ["convergence"]), ("advance", ["advance"])):
        naive, ours = _naive(line, name), _times(line, *prefixes)
        cells.append(f"{naive} ({times_as_fast(naive.median, ours.median)})")
    look = statistics.median([a + b for a, b in zip(line["naive"]["known"], line["naive"]["parents"], strict=True)])
    cells.append(f"{in_ms(look)} ({times_as_fast(look, _times(line, _LOOK).median)})")
    return [*cells, f"{line['naive']['peak']:,.0f}"]


def _whole(line: Line) -> list[str]:
    ours = line["ours"]
    beside = max(ours["peak resume"] - ours["frontier"], ours["peak steps"] - ours["frontier after"])
    return [
        line["engine"],
        line["tiles"],
        f"{ours['active']:,}",
        str(ours["parts"]),
        f"**{ours['resume']:.1f}**",
        f"{ours['resume CPU']:.1f}",
        f"{line['naive']['resume']:.1f}",
        f"{ours['frontier']:,.0f}",
        f"**{beside:,.0f}**",
        f"{ours['before']:,.0f}",
        f"{ours['verify']:.1f}",
        f"**{ours['check']:.2f}**",
        f"{max(0.0, ours['peak verify'] - ours['frontier after']):,.0f}",
        f"{line['fill']:.0f}",
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tiles", nargs="+", type=float, default=[1, 5, 10], help="millions of tiles")
    engines = ("duckdb", "clickhouse-18", "clickhouse-modern")
    arguments.add_argument("--engines", nargs="+", choices=engines, default=["duckdb"])
    arguments.add_argument("--steps", type=int, default=9)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="for the databases")
    arguments.add_argument("--patience", type=float, default=0.0, help="seconds to wait for a quieter machine")
    given = arguments.parse_args()
    lines = [
        measure(engine, millions, given.steps, given.folder, given.patience)
        for engine in given.engines
        for millions in given.tiles
    ]
    print(report(lines))


def report(lines: Sequence[Line]) -> str:
    """Return the figures as markdown."""
    step = ["engine", "tiles", "choose", "worst tile and bootstrap minima", "frontier brought up to date"]
    step += ["look what is there", "insert tiles", "insert results", "done, steps, reports", "database in all"]
    against = ["engine", "tiles", "choose", "worst tile and minima", "frontier brought up to date"]
    against += ["parents and what is there", "highest resident memory, MB"]
    whole = ["engine", "tiles", "active", "parts", "resume, s", "its CPU, s", "naive resume, s", "frontier, MB"]
    whole += ["process beside it, MB", "of which imports, MB", "verify, s", "check, s", "verify beside it, MB"]
    whole += ["fill, s"]
    return "\n\n".join(
        [
            "## Machine",
            table(["", ""], list(machine().items())),
            "## A step of 10,000 parents and 40,000 children, ms",
            table(step, [_step(line) for line in lines]),
            "## The naive form, ms (and how many times as fast ours is)",
            table(against, [_against(line) for line in lines]),
            "## Resume and memory",
            table(whole, [_whole(line) for line in lines]),
        ]
    )


if __name__ == "__main__":
    main()
