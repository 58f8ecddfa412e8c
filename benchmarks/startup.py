"""Measure start-up: processor seconds of whole processes, as ratios to the floor, interleaved in one run.

The floor is a process that imports JAX and runs one compiled addition. Run `python benchmarks/startup.py [ROUNDS]`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from measuring import machine, table

_JOB = """
import adagrid as ada
grid = ada.cartesian_grid({low}, {high}, n=1, null_hypos=[{null!r}])
run = ada.ada_validate(ada.{design}, threshold={threshold}, grid=grid, progress=False)
assert run.bound < 0.05, run.bound
"""
_Z_TEST = _JOB.format(low=[-1], high=[0], null="theta0 <= 0", design="ZTest()", threshold=1.96)
_FISHER = _JOB.format(
    low=[-0.5] * 2, high=[0.5] * 2, null="theta1 <= theta0", design="FisherExact(20)", threshold=0.025
)
# Name, program, whether compiled programs of earlier processes may be used, target as a ratio to the floor.
_CASES = [
    ("floor: import jax, one jitted addition", "import jax; jax.jit(lambda x: x + 1)(1.0)", False, 1.0),
    ("import adagrid", "import adagrid", False, 0.5),
    ("adagrid --help", "from adagrid.cli import app; app(['--help'])", False, 0.5),
    ("z-test certificate, nothing compiled before", _Z_TEST, False, 3.5),
    ("z-test certificate, cache warm", _Z_TEST, True, 2.5),
    ("Fisher's test, nothing compiled before", _FISHER, False, 6.0),
    ("Fisher's test, cache warm", _FISHER, True, 3.0),
]


def main(rounds: int = 9) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "programs"
        for _, program, warm, _ in _CASES:  # bytecode, and the cache
            _seconds(program, cache if warm else None)
        seconds = np.array([[_seconds(program, cache if warm else None) for _, program, warm, _ in _CASES]
                            for _ in range(rounds)])  # fmt: skip
    rows = [
        (name, f"{np.median(own):.2f}", f"{np.median(ratio):.2f}", target)
        for (name, _, _, target), own, ratio in zip(_CASES, seconds.T, (seconds / seconds[:, :1]).T, strict=True)
    ]
    print(table(("", ""), list(machine().items())), end="\n\n")
    print(table(("case", "processor seconds", "ratio to the floor", "target"), rows))


def _seconds(program: str, cache: Path | None) -> float:
    """Run a program in a process of its own and return its processor seconds."""
    environment = {**os.environ, "ADAGRID_COMPILATION_CACHE": str(cache) if cache else "off"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as for users, who compile modules once
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
