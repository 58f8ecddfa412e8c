"""What runs a design: statistics of a chunk of simulations at a block of points. In JAX it is another than without."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
from adagrid.engine.ties import RejectionLimit

if TYPE_CHECKING:
    import jax

MAX_SIMS = 2**31 - 1
"""The most simulations of a point."""


@final
@dataclass(frozen=True)
class Shape:
    """The fixed shape of every compiled call; recorded with a job because bits may depend on it.

    Args:
        chunk: simulations per call, a power of two of at least 16.
        block: points per call.
    """

    chunk: int
    block: int


@final
@dataclass(frozen=True)
class Call:
    """One call: a chunk of simulations at a padded block of points.

    Args:
        chunk: number of the chunk.
        rows: positions of the points among those simulated, without the padding.
        theta: parameters, padded.
        null_truth: padded.
        first: first simulation of the chunk that counts, per point, padded.
        last: one past the last, per point, padded.
    """

    chunk: int
    rows: IntArray
    theta: FloatArray
    null_truth: BoolArray
    first: Array
    last: Array


class Evaluator(ABC):
    """Runs calls of one design with the simulations of one seed. Statistics are turned so that small ones reject."""

    shape: Shape
    """The shape of all calls."""
    dtype: np.dtype[Any]
    """The type of the statistics."""

    @property
    @abstractmethod
    def fingerprint(self) -> str | None:
        """A hash of what is simulated, with what it depends on; None if it is no program of JAX."""

    @abstractmethod
    def seeded(self, seed: int) -> Evaluator:
        """Return what runs the same design with other simulations; nothing is compiled again."""

    @abstractmethod
    def count(self, call: Call, rejection_limit: RejectionLimit) -> jax.Array | Array:
        """Return how many statistics that count reject, and how many are NaN, shape (2, points)."""

    @abstractmethod
    def statistics(self, call: Call) -> jax.Array | Array:
        """Return statistics, shape (points, chunk). Only those that count have a meaning."""
