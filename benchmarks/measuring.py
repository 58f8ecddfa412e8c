"""What every benchmark shares: clocks, memory, the machine, tables. Imports neither JAX nor adagrid."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Times:
    """Wall times of repeated runs, in seconds."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(seconds: Sequence[float]) -> Times:
        """Summarise runs."""
        return Times(statistics.median(seconds), min(seconds), max(seconds))

    def __str__(self) -> str:
        return f"{in_ms(self.median)} [{in_ms(self.least)}, {in_ms(self.most)}]"


def seconds(run: Callable[[], object]) -> float:
    """Run once and return the wall time."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def interleaved(
    timings: Mapping[str, Callable[[], float]], *, rounds: int, budget: float, least: int = 3
) -> tuple[dict[str, Times], int]:
    """Take every timing once a round, so that a slow minute of the machine falls on all of them.

    Args:
        timings: by name, functions that run once and return seconds.
        rounds: the most rounds.
        budget: seconds after which no round begins,
        least: but at least so many are run.

    Returns:
        The times by name, and how many rounds there were.
    """
    taken: dict[str, list[float]] = {name: [] for name in timings}
    began = time.perf_counter()
    done = 0
    while done < least or (done < rounds and time.perf_counter() - began < budget):
        for name, timing in timings.items():
            taken[name].append(timing())
        done += 1
    return {name: Times.of(values) for name, values in taken.items()}, done


@final
class Neighbours:
    """Measures how many cores other processes keep busy, which on a shared machine decides what a time means."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy_seconds(), time.process_time()

    def cores(self) -> float:
        """Return the cores that others used on average since construction; NaN where the system does not tell."""
        others = _busy_seconds() - self._busy - (time.process_time() - self._own)
        return max(0.0, others) / (time.perf_counter() - self._began)


def wait_until_quiet(patience: float, *, most: float = 0.2, look: float = 3.0) -> None:
    """Wait until other processes use few cores, at most so many seconds."""
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        neighbours = Neighbours()
        time.sleep(look)
        if not neighbours.cores() > most:
            return


def _busy_seconds() -> float:
    """Return the CPU time of all processes since the machine started, without idling and waiting."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return float("nan")
    ticks = [int(field) for field in fields[:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


@final
class PeakMemory:
    """Measures how much the resident memory grows above what it is now."""

    def __init__(self) -> None:
        # Linux forgets the high-water mark on request; elsewhere the baseline is the mark so far
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._baseline = _status("VmRSS", otherwise=highest_resident())

    def growth(self) -> float:
        """Return the highest resident memory since construction minus the baseline, in MB."""
        return max(0.0, _status("VmHWM", otherwise=highest_resident()) - self._baseline)


def highest_resident() -> float:
    """Return ru_maxrss of this process, in MB; it includes imports and compilation."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _status(field: str, *, otherwise: float) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return otherwise
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:")), otherwise)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "CPU": _proc("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "Cores": str(os.cpu_count()),
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        "System": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("jax", "numpy", "scipy")},
        "adagrid": f"{version('adagrid')}, commit {_commit()}",
        "Date": datetime.now(UTC).date().isoformat(),
    }


def _commit() -> str:
    """Return the commit of the source, and whether it was changed since."""
    git = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=, changed since", "--abbrev=7")
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _proc(path: str, field: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a markdown table."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def in_ms(duration: float) -> str:
    """Return seconds as milliseconds with three digits or more."""
    value = duration * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times_as_fast(slow: float, fast: float) -> str:
    """Return a ratio of two durations."""
    ratio = slow / fast
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.1f}x"
