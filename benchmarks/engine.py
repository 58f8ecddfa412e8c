"""The engine against a naive form in JAX: time and peak memory of validation and of bootstrap calibration.

    python benchmarks/engine.py                 # everything, about half an hour on two cores
    python benchmarks/engine.py --sims 8192     # a few minutes

Every line is measured in a process of its own; within it the forms take turns. Prints markdown tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final, get_args

from cases import Case, Design, Job
from measuring import Times, in_ms, machine, table, times_as_fast, wait_until_quiet

# 64 tiles are one block of the engine; more of Fisher's test would not fit beside the naive form.
_TILES: dict[Design, int] = {"z-test": 128, "Fisher": 64}
_SIMS = (8192, 131072, 524288)


@final
@dataclass(frozen=True)
class Line:
    """What was measured of a case.

    Args:
        case: the case.
        time: what `one.py time` printed.
        memory: what `one.py memory` printed, by form.
    """

    case: Case
    time: dict[str, Any]
    memory: dict[str, dict[str, float]]

    @property
    def name(self) -> tuple[str, str]:
        """The test and the simulations per tile, for a table."""
        return self.case.design, f"{self.case.n_sims:,}"

    def times(self, name: str) -> Times:
        """Return the times of a form ("ours first") or of the bounds."""
        return Times(**self.time["times"][name])

    def ratio(self, packet: str, *, form: str = "naive") -> str:
        """Return how many times as fast as another form ours is."""
        return times_as_fast(self.times(f"{form} {packet}").median, self.times(f"ours {packet}").median)

    def ratio_without_bounds(self) -> str:
        """Return the same for a later packet, with the bounds, which both forms compute alike, taken off.

        The least time of the bounds is taken off: taking off more would flatter ours.
        """
        bounds = self.times("bounds").least
        naive, ours = (self.times(f"{form} later").median - bounds for form in ("naive", "ours"))
        return times_as_fast(naive, ours) if ours > 0 else "-"


def measure(case: Case, patience: float) -> Line:
    """Measure a case in new processes."""
    wait_until_quiet(patience)
    print(f"{case.job}: {case.design}, {case.n_sims:,} simulations", file=sys.stderr, flush=True)
    forms = ("ours", "naive")
    return Line(case, _run("time", case), {form: _run("memory", case, form) for form in forms})


def _run(*arguments: str | Case) -> dict[str, Any]:
    script = Path(__file__).with_name("one.py")
    texts = [argument.to_json() if isinstance(argument, Case) else argument for argument in arguments]
    done = subprocess.run([sys.executable, str(script), *texts], check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def time_table(lines: Sequence[Line]) -> str:
    """Return the times of a later packet: draws and resamples are there."""
    fused = lines[0].case.job == "validate"
    header = ["test", "simulations", "tiles", "ours, ms", "naive, ms", "**naive / ours**", "bounds, ms"]
    header += ["ratio without bounds", *(["one-jit naive / ours"] if fused else []), "rounds", "cores used by others"]
    return table(
        header,
        [
            [
                *line.name,
                line.case.n_tiles,
                line.times("ours later"),
                line.times("naive later"),
                f"**{line.ratio('later')}**",
                in_ms(line.times("bounds").median),
                line.ratio_without_bounds(),
                *([line.ratio("later", form="fused")] if fused else []),
                line.time["rounds"],
                f"{line.time['others']:.1f}",
            ]
            for line in lines
        ],
    )


def first_table(lines: Sequence[Line]) -> str:
    """Return the times of a first packet: draws and resamples are made."""
    return table(
        ["test", "simulations", "ours, ms", "naive, ms", "naive / ours", "compiling ours, s", "compiling naive, s"],
        [
            [
                *line.name,
                line.times("ours first"),
                line.times("naive first"),
                line.ratio("first"),
                *(f"{line.time['compilation'][form]:.1f}" for form in ("ours", "naive")),
            ]
            for line in lines
        ],
    )


def memory_table(lines: Sequence[Line]) -> str:
    """Return peak memory, above what imports and compilation need, and in all."""
    header = [
        "job",
        "test",
        "simulations",
        "ours, MB",
        "naive, MB",
        "in all: ours",
        "in all: naive",
        "naive, tiles a batch",
    ]
    return table(
        header,
        [
            [
                line.case.job,
                *line.name,
                *(f"{line.memory[form][what]:,.0f}" for what in ("growth", "highest") for form in ("ours", "naive")),
                line.time["batch"],
            ]
            for line in lines
        ],
    )


def agreement_table(lines: Sequence[Line]) -> str:
    """Return how far the answers of the two forms are apart."""
    keys = list(lines[0].time["agreement"])
    rows = [[*line.name, *(f"{line.time['agreement'][key]:.3g}" for key in keys)] for line in lines]
    return table(["test", "simulations", *keys], rows)


def report(lines: Sequence[Line]) -> str:
    """Return all tables."""
    parts = ["## Machine", table(["", ""], list(machine().items()))]
    for job in get_args(Job):
        chosen = [line for line in lines if line.case.job == job]
        if chosen:
            parts += [f"## {job}: later packets", time_table(chosen), f"## {job}: first packet", first_table(chosen)]
            parts += [f"## {job}: the same answers", agreement_table(chosen)]
    return "\n\n".join([*parts, "## Peak memory", memory_table(lines)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sims", type=int, nargs="+", default=_SIMS, help="simulations per tile")
    parser.add_argument("--tiles", type=int, help="tiles in the packet, instead of 128 and 64")
    parser.add_argument("--tests", nargs="+", choices=get_args(Design), default=get_args(Design))
    parser.add_argument("--jobs", nargs="+", choices=get_args(Job), default=get_args(Job))
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait for other processes to finish")
    options = parser.parse_args()
    cases = [
        Case(design, job, n_sims, options.tiles or _TILES[design])
        for job in options.jobs
        for design in options.tests
        for n_sims in options.sims
    ]
    print(report([measure(case, options.patience) for case in cases]))


if __name__ == "__main__":
    main()
