"""Runs the openings in processes of their own, one after the other, and survives their crashes and hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studies.outside.originals import make

# Seconds that one opening may take on a busy machine; those that take long are refused within a few.
PATIENCE = 60


@dataclass(frozen=True)
class Tried:
    """What came of one mutation.

    Args:
        number: its number.
        kind: the original.
        what: what was changed.
        outcome: "sound", the name of an error of ours, or what failed.
    """

    number: int
    kind: str
    what: str
    outcome: str


def tried(folder: Path, first: int, last: int, *more: str) -> Iterator[Tried]:
    """Yield what comes of mutations with some numbers."""
    if not (folder / "originals").exists():
        make(folder / "originals")
    while first < last:  # the engine's address space grows with every database, so no process opens too many
        for found in _batch(folder, first, min(first + 200, last), more):
            yield found
            first = found.number + 1


def _batch(folder: Path, first: int, last: int, more: tuple[str, ...]) -> Iterator[Tried]:
    """Yield the outcomes of one process, the last of them its crash or hang if it has one."""
    command = [sys.executable, "-m", "studies.outside.opened", str(folder), str(first), str(last), *more]
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    with (folder / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONPATH": paths}
        )
    with process:
        begun = {"number": first, "kind": "", "what": "the start"}
        for line in _lines(process):
            told = json.loads(line)
            if "what" in told:
                begun = told
            else:
                yield Tried(**begun, outcome=told["outcome"])
                begun = {"number": told["number"] + 1, "kind": "", "what": "the start"}
    code = process.wait()
    if code:
        last_words = (folder / "errors.txt").read_text()[-300:]
        hangs = "it hangs" if code == -signal.SIGKILL else f"the process ended with {code}: {last_words}"
        yield Tried(**begun, outcome=f"FAILED: {hangs}")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what a process prints, and kill it when it is silent for too long."""
    assert process.stdout is not None
    while True:
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        line = process.stdout.readline()
        watch.cancel()
        if not line:
            return
        yield line


def main() -> None:
    """Try numbers from the command line and print what failed, and how often there was what."""
    folder, first, last, *more = sys.argv[1:]
    counts: dict[str, int] = {}
    for found in tried(Path(folder), int(first), int(last), *more):
        outcome = found.outcome.partition(" ")[0]
        counts[outcome] = counts.get(outcome, 0) + 1
        if outcome.startswith("FAILED"):
            print(found, flush=True)
    print(counts)


if __name__ == "__main__":
    main()
