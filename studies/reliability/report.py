"""Does to jobs what can happen to them, at every point, and writes what became of them to docs/reliability.md.

    python -m studies.reliability.report

`--every 50` tries it out. Ends with status 1 if a job did not survive something.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

from tests.support.clickhouse_server import BINARY, WITHOUT, ClickHouseServer
from tests.support.faults.disasters import (
    damaged_logs,
    killed_with_log,
    may_mount,
    on_small_disk,
    second_is_refused,
    served_by_a_mortal,
    torn_log,
    twice_at_once,
    without_room,
)
from tests.support.faults.jobs import KILLED, LONG, ClickHouseDatabases, DuckDBFiles, Engine
from tests.support.faults.runs import Workers, uninterrupted
from tests.support.paths import ROOT

WHENS = ("before", "half sent", "sent", "after")


@final
@dataclass(frozen=True)
class Finding:
    """What a study found.

    Args:
        row: a row of its table, by column.
        broken: what was not survived, and how that showed.
        seconds: how long it took.
    """

    row: Mapping[str, str]
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0


@final
@dataclass(frozen=True)
class Lab:
    """What studies work with.

    Args:
        folder: for databases.
        workers: processes that kill and continue jobs.
        server: a ClickHouse server.
        every: every how many points are tried.
    """

    folder: Path
    workers: Workers
    server: ClickHouseServer
    every: int

    @property
    def files(self) -> DuckDBFiles:
        """DuckDB databases."""
        return DuckDBFiles(self.folder)

    @property
    def databases(self) -> ClickHouseDatabases:
        """ClickHouse databases."""
        return ClickHouseDatabases(self.server.port)

    def answer(self, engine: Engine, job: str) -> Path:
        """Run a job to its end and return the file with its answer."""
        file = self.folder / f"{engine.name} {job}.answer"
        self.workers.run(uninterrupted, engine, job, file)
        return file

    def tried(self, variants: Iterable[Any]) -> list[Any]:
        """Return those of many variants that are tried."""
        return list(variants)[:: min(self.every, 8)]


def killed_everywhere(engine_of: Callable[[Lab], Engine], job: str, lab: Lab) -> Finding:
    """Kill a job at every moment."""
    engine = engine_of(lab)
    moments, outcomes = lab.workers.kill_at(engine, job, lab.folder, lab.every)
    whats = [moment.what for moment in moments if moment.when == "before"]
    tried = Counter(moments[outcome.at].when for outcome in outcomes)
    row = {
        "engine": engine.name,
        "job": job,
        "statements": f"{len(whats) - whats.count('packet')}",
        "packets": f"{whats.count('packet')}",
        **{f"killed {when}": f"{tried[when]}" if tried[when] else "" for when in WHENS},
        "points": f"{len(outcomes)}",
        "really killed": f"{sum(outcome.died for outcome in outcomes)}",
        "same answer, verified": f"{sum(not outcome.error for outcome in outcomes)}",
    }
    return Finding(row, [f"{moments[each.at]} ({each.at}): {each.error}" for each in outcomes if each.error])


def _disaster(what: str, engine: Engine, outcomes: list[Any], outcome: Callable[[list[Any]], str]) -> Finding:
    """Return the row of something that was tried in variants, each with an outcome or an exception."""
    errors = [each for each in outcomes if isinstance(each, BaseException)]
    survived = [each for each in outcomes if not isinstance(each, BaseException)]
    row = {"what": what, "engine": engine.name, "tried": f"{len(outcomes)}", "outcome": outcome(survived)}
    return Finding(row | {"same answer, verified": f"{len(survived)}"}, [repr(error) for error in errors])


def damaged_log(what: str, lab: Lab) -> Finding:
    """Damage the write-ahead log that a killed process left."""
    job, file = KILLED[0], lab.folder / "torn.answer"
    log = lab.workers.run(killed_with_log, lab.folder, job, file)
    logs = lab.tried(damaged for kind, damaged in damaged_logs(log, 24) if kind == what)
    found = list(lab.workers.run_all(torn_log, [(lab.folder, job, damaged, file) for damaged in logs]))
    told = lambda kinds: f"{kinds.count('recovered')} recovered, {kinds.count('refused')} refused"
    return _disaster(f"its write-ahead log is damaged: {what}", lab.files, found, told)


def no_room(lab: Lab) -> Finding:
    """Let files not grow beyond a size."""
    file = lab.answer(lab.files, KILLED[0])
    variants = [(lab.folder, KILLED[0], size, file) for size in lab.tried(range(2, 30, 2))]
    found = list(lab.workers.run_all(without_room, variants))
    return _disaster("a file may not grow beyond 2, 4, ... 28 KiB", lab.files, found, _stopped)


def small_disk(lab: Lab) -> Finding:
    """Fill a disk."""
    if not may_mount(lab.folder / "disk"):
        return Finding({"what": "a full disk", "engine": "DuckDB", "tried": "0", "outcome": "needs the right to mount"})
    file = lab.answer(lab.files, KILLED[0])
    variants = [(lab.folder, KILLED[0], size, file) for size in lab.tried(range(8, 44, 4))]
    found = list(lab.workers.run_all(on_small_disk, variants))
    return _disaster("a full disk of 8, 12, ... 40 KiB, enlarged afterwards", lab.files, found, _stopped)


def _stopped(found: list[bool]) -> str:
    return f"{sum(found)} stopped and said what to do, {len(found) - sum(found)} had room enough"


def second_process(lab: Lab) -> Finding:
    """Let other processes try to open the file of a job."""
    file = lab.answer(lab.files, LONG)
    found = list(lab.workers.run_all(second_is_refused, [(lab.files, LONG, file, 20)]))
    what = "20 other processes open its file while it runs"
    return _disaster(what, lab.files, found, lambda runs: f"{20 * len(runs)} refused")


def two_processes(job: str, lab: Lab) -> Finding:
    """Let two processes run the same job at the same time."""
    file, engine = lab.folder / f"two {job}.answer", lab.databases
    moments = lab.workers.run(uninterrupted, engine, job, file)
    starts = [None if i % 2 else (i * len(moments)) // 16 for i in range(16)]
    variants = [(engine, job, number, at, file) for number, at in lab.tried(enumerate(starts))]
    found = list(lab.workers.run_all(twice_at_once, variants))
    what = f"two processes start or continue it at the same time ({job})"
    return _disaster(what, engine, found, lambda runs: f"{2 * len(runs)} processes ended well")


def mortal_server(lab: Lab) -> Finding:
    """Kill and restart the server under load."""
    file, engine = lab.answer(lab.databases, LONG), lab.databases
    rounds = range(1 if lab.every > 1 else 3)
    variants = [(lab.folder / "mortal", LONG, f"mortal_{number}", file, 8) for number in rounds]
    found = [each for variant in variants for each in lab.workers.run_all(served_by_a_mortal, [variant])]
    return _disaster("its server is killed and started again, again and again", engine, found, _restarts)


def _restarts(kills: list[int]) -> str:
    return f"{sum(kills)} restarts"


_DAMAGES = ("cut off", "a bit of the last quarter flipped", "a byte flipped", "zeros at the end")
STUDIES: Mapping[str, Callable[[Lab], Finding]] = {
    **{f"kills, DuckDB, {job}": partial(killed_everywhere, lambda lab: lab.files, job) for job in KILLED},
    **{f"kills, ClickHouse, {job}": partial(killed_everywhere, lambda lab: lab.databases, job) for job in KILLED},
    **{f"log, {what}": partial(damaged_log, what) for what in _DAMAGES},
    "no room": no_room,
    "full disk": small_disk,
    "second process": second_process,
    **{f"two processes, {job}": partial(two_processes, job) for job in KILLED},
    "mortal server": mortal_server,
}

_KILLS = ["engine", "job", "statements", "packets", *(f"killed {when}" for when in WHENS)]
_KILLS += ["points", "really killed", "same answer, verified"]
_DISASTERS = ["what", "engine", "tried", "outcome", "same answer, verified"]

_PAGE = """# What a job survives

A job that is stopped by anything at all is continued by running the same command again, and then ends with the same
tables, to the last bit, as if nothing had happened. This page tries it out. `make reliability` makes it
([the script](../studies/reliability/report.py)); `make test` kills a job once at each kind of point.

{verdict}

## A process is killed

The process kills itself with SIGKILL, which it cannot notice, at each of the points below, every time in a new run of
a small job. Then a new process verifies what is there, runs the same job again, verifies the end, and compares every
table except the messages, and status, bound and threshold, with those of a run that nobody disturbed. Points lie
before and after every statement to the database (also those that open and close it, and those that only read) and
before and after every packet is simulated. On ClickHouse, a server of 2018 in a process of its own, a statement is an
HTTP request; those that write are also killed when half of the rows are sent, and when all is sent but not answered,
where the server may finish what nobody waits for while the next process already reads.

{kills}

## Other things go wrong

A damaged write-ahead log is one that a kill just before the job's end left, with everything in it. What is cut off is
recovered up to the last transaction that is complete; anything else is refused by its checksum, with a message that
says how to go on without the log, which is then tried too. Where there is no room the run must stop with a message that
says so, and the same command must complete the job when there is. On ClickHouse two processes may run a job at the same
time: every row is then there once or twice, and counts once.

{disasters}

The studies took {minutes} minutes in all, on a machine with 2 cores that had other work to do.
"""


def page(found: Mapping[str, Finding]) -> str:
    """Return the whole file."""
    broken = [f"{name}: {error}" for name, finding in found.items() for error in finding.broken]
    missing = [name for name in STUDIES if name not in found]
    verdict = f"**Not survived: {len(broken)}.**" if broken else "Everything below was survived."
    if missing:
        verdict += f" Not tried in this run: {'; '.join(missing)}."
    rows = [found[name].row for name in STUDIES if name in found]
    return _PAGE.format(
        verdict=verdict,
        kills=_table(_KILLS, [row for row in rows if "job" in row]),
        disasters=_table(_DISASTERS, [row for row in rows if "what" in row]),
        minutes=math.ceil(sum(finding.seconds for finding in found.values()) / 60),
    )


def _table(header: list[str], rows: list[Mapping[str, str]]) -> str:
    lines = [header, ["---"] * len(header), *([row.get(name, "") for name in header] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="try only every n-th point")
    parser.add_argument("--only", nargs="*", default=[""], help="only studies whose names begin like one of these")
    parser.add_argument("--figures", type=Path, help="keep findings in this file; those in it are not sought again")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md")
    options = parser.parse_args()
    if BINARY is None:
        sys.exit(WITHOUT)
    kept = json.loads(options.figures.read_text()) if options.figures and options.figures.exists() else {}
    found = {name: Finding(**finding) for name, finding in kept.items()}
    with tempfile.TemporaryDirectory(prefix="adagrid-faults-") as name:
        folder = Path(name)
        (folder / "server").mkdir()
        server = ClickHouseServer(folder / "server")
        server.start()
        try:
            with Workers(folder / "compiled") as workers:
                lab = Lab(folder, workers, server, options.every)
                for study, look in STUDIES.items():
                    if study in found or not study.startswith(tuple(options.only)):
                        continue
                    began = time.monotonic()
                    finding = look(lab)
                    found[study] = Finding(finding.row, finding.broken, time.monotonic() - began)
                    print(f"{found[study].seconds:6.0f} s  {study}: {dict(finding.row)}", flush=True)
                    for error in finding.broken:
                        print(f"          not survived: {error}", flush=True)
                    if options.figures:
                        options.figures.write_text(json.dumps({key: asdict(value) for key, value in found.items()}))
                    options.output.write_text(page(found))
        finally:
            server.stop()
    return 1 if any(finding.broken for finding in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
