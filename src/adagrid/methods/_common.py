"""What the methods that come with adagrid have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from adagrid._typing import FloatArray, IntArray

# Seed streams for what is simulated afresh, the first of each kind of job; the search uses the model seed itself.
VALIDATION_STREAM, CALIBRATION_STREAM = 0, 1000


@final
@dataclass(frozen=True)
class Convergence:
    """Whether the targets are met, and how far away they are.

    Args:
        converged: whether all targets are met.
        figures: what the decision rests on, by name, for progress and reports.
    """

    converged: bool
    figures: Mapping[str, float]


def batches(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of range(n), of at most `size` positions."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def expected_count(error: FloatArray, n_sims: IntArray) -> IntArray:
    """Return how many of n_sims simulations are expected to reject where the error is known and none is run."""
    return np.rint(error * n_sims).astype(np.int64)
