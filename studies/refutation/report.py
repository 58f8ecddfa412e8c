"""Tests wrong and right families with many seeds and writes what was found to docs/refutation.md.

    python -m studies.refutation.report

`--seeds 5` tries it out. Ends with status 1 if a right family was refuted, or a wrong one missed that should not be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from adagrid._typing import FloatArray
from adagrid.refutation import REFUTED
from studies.refutation.designs import RIGHT, WRONG
from tests.support.paths import ROOT

LINES, SIMS = 8, (512, 1024, 2048)
# Families that are so nearly right that the first round of simulations may miss them, and the last one sees most.
WEAK, SEEN = ("n = 133 for 200, in a range", "n = 133 for 200, z", "1.2 times the sd"), 0.9

_PAGE = """# How often a wrong family is noticed

Every job tests the family that its design declares ([how](family.md)). `make refutation` makes this page
([the script](../studies/refutation/report.py), [the designs](../studies/refutation/designs.py)).

## Wrong families

Shares of {seeds} seeds in which the family is refuted (e-value of at least 10^6), with {lines} lines and 512, 1,024 or
2,048 simulations at each of their points. A job that is in doubt after 512 goes on to more simulations by itself.

{wrong}

## Right families

{runs:,} runs with {lines} lines and 512 simulations at each point. The family is refuted in {alarms} of them. The
theory allows one refutation in a million runs, and an e-value of 100 in one run of a hundred.

{right}
"""


def log_evidence(name: str, n_sims: int, seed: int) -> float:
    """Return the logarithm of the e-value of one run."""
    return (WRONG | RIGHT)[name].log_evidence(seed, LINES, n_sims)


def power(name: str, seeds: int, pool: ProcessPoolExecutor) -> Iterator[float]:
    """Yield the share of seeds that refute a family, by simulations; once all do, more simulations are not tried."""
    share = 0.0
    for n_sims in SIMS:
        if share < 1:
            share = float(np.mean(_evidence(name, n_sims, seeds, pool) >= REFUTED))
            print(f"{name}, {n_sims}: {share:.2f}", flush=True)
        yield share


def _evidence(name: str, n_sims: int, seeds: int, pool: ProcessPoolExecutor) -> FloatArray:
    return np.array(list(pool.map(partial(log_evidence, name, n_sims), range(seeds), chunksize=10)))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="runs of every wrong family")
    parser.add_argument("--runs", type=int, default=600, help="runs of every right family")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "refutation.md")
    options = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        shares = {name: list(power(name, options.seeds, pool)) for name in WRONG}
        values = {name: np.exp(_evidence(name, SIMS[0], options.runs, pool)) for name in RIGHT}
    alarms = sum(int((each >= np.exp(REFUTED)).sum()) for each in values.values())
    wrong = [[name, *(f"{share:.2f}" for share in of)] for name, of in shares.items()]
    right = [[name, f"{each.max():.3g}", f"{each.mean():.2f}"] for name, each in values.items()]
    text = _PAGE.format(
        seeds=options.seeds,
        lines=LINES,
        runs=options.runs * len(RIGHT),
        alarms=alarms or "none",
        wrong=_table(["what is wrong", *(f"{n:,}" for n in SIMS)], wrong),
        right=_table(["design", "largest e-value", "mean"], right),
    )
    options.output.write_text(text)
    missed = [name for name, of in shares.items() if of[-1] < (SEEN if name in WEAK else 1.0)]
    print(f"{alarms} false refutations; missed: {', '.join(missed) or 'none'}")
    return 1 if alarms or missed else 0


if __name__ == "__main__":
    sys.exit(main())
