"""Applies every mutant of the catalogue to a copy of the source, runs the tests, and writes docs/mutants.md.

    python -m studies.mutants.report

`--only NAME` tries one mutant and shows what its tests said. Ends with status 1 if a mutant survived.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from studies.mutants.mutant import KINDS, Mutant, catalogue
from studies.mutants.sweep import Finding, copy_source, digest_of, failing, try_mutant
from tests.support.paths import ROOT

_PAGE = """# What the tests notice

Each mutant below is one change to one place of the source that certificates rest on. `make mutants` makes this page
([the script](../studies/mutants/report.py), [the mutants](../studies/mutants/catalogue)). It changes a copy of the
source and runs the tests that should notice until one of them fails. If none does, it runs all others of `make test`.
All tests named below pass without a mutant.

{verdict}

{kinds}

{tables}
"""


def sweep(
    mutants: Sequence[Mutant], known: Mapping[str, Finding], folder: Path, processes: int, *, narrow: bool
) -> Iterator[Finding]:
    """Yield what becomes of mutants, as soon as it is known.

    Args:
        mutants: the mutants.
        known: findings of an earlier sweep. A mutant that was noticed then is not tried again as long as its file and
            the tests that noticed are the same.
        folder: for copies of the source.
        processes: how many are tried at the same time.
        narrow: whether to run only the tests that mutants name.
    """
    left = []
    for mutant in mutants:
        earlier = known.get(mutant.name)
        if earlier and earlier.killer and earlier.digest == digest_of(mutant.text, earlier.killer):
            yield earlier
        else:
            left.append(mutant)
    with ThreadPoolExecutor(processes) as pool:
        tasks = [pool.submit(try_mutant, mutant, folder / mutant.name, narrow=narrow) for mutant in left]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            for task in tasks:
                task.cancel()


def page(mutants: Sequence[Mutant], found: Mapping[str, Finding]) -> str:
    """Return the whole file."""
    survived = [mutant.name for mutant in mutants if found[mutant.name].killer is None]
    verdict = f"**{len(survived)} of {len(mutants)} mutants survive: {', '.join(survived)}.**"
    if not survived:
        verdict = f"The tests notice all {len(mutants)} mutants."
    count = {kind: sum(mutant.kind == kind for mutant in mutants) for kind in KINDS}
    kinds = _table(["kind", "what is wrong", "mutants"], ([k, KINDS[k], f"{n}"] for k, n in count.items() if n))
    tables = [
        f"## {kind[:1].upper()}{kind[1:]}\n\n"
        + _table(
            ["mutant", "what would go wrong", "file", "noticed by"],
            (_row(mutant, found[mutant.name]) for mutant in mutants if mutant.kind == kind),
        )
        for kind in KINDS
        if count[kind]
    ]
    return _PAGE.format(verdict=verdict, kinds=kinds, tables="\n\n".join(tables))


def _row(mutant: Mutant, finding: Finding) -> list[str]:
    return [mutant.name, mutant.why, f"`{mutant.file}`", _killer(finding)]


def _killer(finding: Finding) -> str:
    if finding.killer is None:
        return "**survived**"
    test = finding.killer.partition("[")[0].removeprefix("tests/")
    return f"`{test}`" if "/" in test else test


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="only these mutants; writes no page")
    parser.add_argument("--narrow", action="store_true", help="run only the tests that a mutant names")
    parser.add_argument("--processes", type=int, default=2, help="mutants that are tried at the same time")
    parser.add_argument("--figures", type=Path, help="keep findings in this file; those in it are not sought again")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "mutants.md")
    options = parser.parse_args()
    mutants = [mutant for mutant in catalogue() if options.only is None or mutant.name in options.only]
    for mutant in mutants:
        mutant.check()
    lost = set(options.only or ()) - {mutant.name for mutant in mutants}
    if lost:
        sys.exit(f"There are no mutants with the names {', '.join(sorted(lost))}.")
    kept = json.loads(options.figures.read_text()) if options.figures and options.figures.exists() else []
    found = {finding["name"]: Finding(**finding) for finding in kept}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill removes the copies, too
    with tempfile.TemporaryDirectory(prefix="adagrid-mutants-") as name:
        folder = Path(name)
        for finding in sweep(mutants, dict(found), folder, options.processes, narrow=options.narrow):
            found[finding.name] = finding
            print(f"{finding.seconds:6.0f} s  {finding.name}: {finding.killer or 'SURVIVED'}", flush=True)
            copy = folder / finding.name
            if copy.exists():  # it was not known
                if options.only:
                    print((copy / "output").read_text())
                shutil.rmtree(copy)
            if options.figures:
                options.figures.write_text(json.dumps([asdict(each) for each in found.values()], indent=1))
        own = [found[mutant.name] for mutant in mutants]
        copy_source(folder / "unchanged")
        killers = sorted({each.killer for each in own if each.killer and "/" in each.killer})
        broken = failing(folder / "unchanged", killers) if killers else None
    if broken:
        sys.exit(f"{broken} fails without a mutant: what it seems to notice means nothing.")
    if options.only is None:
        options.output.write_text(page(mutants, found))
    return 1 if any(each.killer is None for each in own) else 0


if __name__ == "__main__":
    sys.exit(main())
