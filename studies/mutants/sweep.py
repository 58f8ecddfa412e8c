"""Runs the tests against copies of the source, each with one mutant. Never changes the working tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from adagrid._compilation_cache import SETTING
from studies.mutants.mutant import SOURCE, TESTS, Mutant
from tests.support.paths import ROOT

# Folders of tests, those first that are likelier to find something; of the last, `make test` runs what is marked smoke.
_FOLDERS = ("unit", "contracts", "jobs", "designs", "servers")
_MAKE_TEST = ("-m", "smoke or not servers")
# Seconds that one run of tests may take.
_LIMIT = 7200
_SURVIVED = (0, 5)  # all tests passed, or none was left


@final
@dataclass(frozen=True)
class Finding:
    """What became of a mutant.

    Args:
        name: its name.
        digest: of the changed file and the tests that noticed, by which a later sweep knows whether this still holds.
        killer: id of the first test that failed; "out of time"; None if no test failed.
        seconds: how long its tests ran.
    """

    name: str
    digest: str
    killer: str | None
    seconds: float


def try_mutant(mutant: Mutant, folder: Path, *, narrow: bool) -> Finding:
    """Run tests against a mutant until one fails: those that it names, then all others of `make test`.

    Args:
        mutant: the mutant.
        folder: a folder for this mutant alone.
        narrow: whether to run only the tests that it names.
    """
    began, text = time.monotonic(), mutant.text
    copy_source(folder)
    (folder / "src" / "adagrid" / mutant.file).write_text(text)
    named = [f"{TESTS / test}" for test in mutant.tests]
    rounds = [named] if narrow else [named, _all_tests(mutant)]
    killers = (_first_failure(folder, tests, mutant.hangs) for tests in rounds)
    killer = next((killer for killer in killers if killer is not None), None)
    return Finding(mutant.name, digest_of(text, killer), killer, time.monotonic() - began)


def digest_of(text: str, killer: str | None) -> str:
    """Return a hash of a changed file, and of the file of the test that noticed."""
    file = ROOT / (killer or "").partition("::")[0]
    tests = file.read_text() if file.is_file() else ""
    return hashlib.sha256(f"{text}\0{tests}".encode()).hexdigest()[:16]


def copy_source(folder: Path) -> None:
    """Copy the source into a folder, with what was compiled from it, which Python checks by times of change."""
    shutil.copytree(SOURCE, folder / "src" / "adagrid", ignore=shutil.ignore_patterns("*.pyc.*"))


def failing(folder: Path, tests: Sequence[str]) -> str | None:
    """Return the first of some tests that fails against the source in a folder; None if all pass."""
    (folder / "tests").write_text("\n".join(tests))
    return _first_failure(folder, [f"@{folder / 'tests'}"], hangs=False)


def _all_tests(mutant: Mutant) -> list[Path]:
    """Return all files of tests, those of the changed package first."""
    package = mutant.file.partition("/")[0]

    def likelihood(file: Path) -> tuple[bool, int, Path]:
        folder, *inner = file.relative_to(TESTS).parts
        return (package not in inner, _FOLDERS.index(folder), file)

    return sorted((file for folder in _FOLDERS for file in (TESTS / folder).rglob("test_*.py")), key=likelihood)


def _first_failure(folder: Path, tests: Sequence[Path | str], hangs: bool) -> str | None:
    """Run tests against the source in a folder; return the id of the first that fails, None if none does.

    Raises:
        RuntimeError: if pytest itself fails.
    """
    answer = folder / "failure"
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "studies.mutants.first_failure", "--first-failure", answer)
    command = [sys.executable, "-m", "pytest", *options, *_MAKE_TEST, *tests]
    with (folder / "output").open("wb") as output:
        code = _run([str(word) for word in command], folder, output)
    if code is None:
        return "out of time" if hangs else None
    if code in _SURVIVED:
        return None
    if answer.exists():
        return answer.read_text()
    raise RuntimeError(f"pytest failed with code {code}:\n{(folder / 'output').read_text()[-4000:]}")


def _run(command: Sequence[str], folder: Path, output) -> int | None:
    """Run a command and return its code; end it and all that it has started, and return None, when its time is up."""
    own = {
        "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(ROOT)]),
        SETTING: str(folder.parent / "programs"),  # what mutants compile ends with them
    }
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(_LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
