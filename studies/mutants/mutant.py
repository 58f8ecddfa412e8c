"""Mutants: single changes to lines that certificates rest on, as data in `catalogue`."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from tests.support.paths import ROOT

SOURCE = ROOT / "src" / "adagrid"
TESTS = ROOT / "tests"

KINDS = {
    "limits and ranks": "Limits and order statistics are off by one rejection, one simulation or one rank.",
    "ties": "`<=` stands for `<`.",
    "rounding": "Something is rounded to the unsafe side.",
    "precision": "Single precision is forgotten.",
    "direction": "The wrong tail, end or extreme is used.",
    "power": "Power is bounded like an error.",
    "bounds": "What carries a limit over a tile or cell is no bound.",
    "natural parameter space": "Bounds are computed outside the parameters for which they are proven.",
    "delta": "Confidence is divided wrongly or spent twice.",
    "inherited": "Counts or limits come from another parameter.",
    "clip and split": "Null boundaries cut tiles wrongly.",
    "null configurations": "The wrong hypotheses count as true.",
    "NaN": "A NaN counts as a number.",
    "counting": "Simulations are lost or counted twice.",
    "streams and seeds": "Simulations that should be fresh are not.",
    "compiled programs": "A design runs the program of another.",
    "fingerprints": "A change goes unnoticed, or two things have the same id.",
    "order of writes": "A kill leaves what the next run misreads.",
    "resuming": "A resumed job differs from one that never stopped.",
    "accepted passes": "A pass is chosen by what it shows.",
    "declared family": "A family is believed that simulations contradict, or doubted without reason.",
    "verify": "`verify` misses a contradiction.",
}
"""Kinds of mutants, and what each does wrong."""


class MutantError(ValueError):
    """A mutant of the catalogue cannot be made."""


@final
@dataclass(frozen=True)
class Mutant:
    """One change.

    Args:
        name: unique.
        kind: one of `KINDS`.
        file: below src/adagrid.
        before: a fragment that occurs once in the file.
        after: what takes its place.
        why: what a certificate would be wrong about.
        tests: files below tests that should fail, or single tests of them (file::test), the likeliest first.
        hangs: whether it counts as killed if the tests run out of time.
    """

    name: str
    kind: str
    file: str
    before: str
    after: str
    why: str
    tests: tuple[str, ...]
    hangs: bool = False

    @property
    def text(self) -> str:
        """The changed file.

        Raises:
            MutantError: if the fragment does not occur exactly once, or the changed file is no Python.
        """
        text = (SOURCE / self.file).read_text()
        found = text.count(self.before)
        if found != 1:
            raise MutantError(f"{self.name}: {self.before!r} must occur once in {self.file}, but occurs {found} times.")
        changed = text.replace(self.before, self.after)
        try:
            ast.parse(changed)
        except SyntaxError as error:
            raise MutantError(f"{self.name}: the changed {self.file} is no Python: {error}.") from error
        return changed

    def check(self) -> None:
        """Refuse a mutant that cannot be made or tried.

        Raises:
            MutantError: saying why.
        """
        if self.kind not in KINDS:
            raise MutantError(f"{self.name}: {self.kind!r} is no kind of mutants. Kinds: {', '.join(KINDS)}.")
        lost = [test for test in self.tests if not _exists(test)]
        if lost or not self.tests:
            raise MutantError(f"{self.name}: it must name files of tests, or tests in them; got {lost or self.tests}.")
        _ = self.text


def _exists(test: str) -> bool:
    """Return whether there is a file of tests, or a test in it: its own, or that of a contract."""
    file, *names = test.split("::")
    if not (TESTS / file).is_file():
        return False
    texts = [(TESTS / file).read_text(), *_contracts()]
    return all(any(re.search(rf"^ *(def|class) {name}\b", text, re.MULTILINE) for text in texts) for name in names)


@cache
def _contracts() -> list[str]:
    return [file.read_text() for file in sorted((SOURCE / "testing").glob("*.py"))]


def catalogue() -> list[Mutant]:
    """Return all mutants.

    Raises:
        MutantError: if two have the same name.
    """
    mutants = [
        Mutant(**entry | {"tests": tuple(entry["tests"])})
        for file in sorted(Path(__file__).with_name("catalogue").glob("*.toml"))
        for entry in tomllib.loads(file.read_text())["mutant"]
    ]
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MutantError(f"Two mutants have the same name: {', '.join(twice)}.")
    return mutants
