"""Points as columns: parameters to simulate under a null configuration, with a range of a seed stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from adagrid._typing import BoolArray, FloatArray, IdArray, IntArray
from adagrid.grid.columns import FrameColumns, column
from adagrid.grid.ids import hash_words


@final
@dataclass(frozen=True)
class Points(FrameColumns):
    """A set of points, one row each.

    Args:
        id: identifiers, shape (points,).
        theta: parameters, shape (points, dim).
        null_truth: which null hypotheses count as true, shape (points, hypotheses). A point on a null boundary
            is simulated once for every configuration of the cells around it.
        stream: number of the seed stream, shape (points,).
        begin: first simulation, shape (points,).
        n_sims: number of simulations, 0 if the design computes its errors, shape (points,).
        level: in validations, one minus the confidence of the limit at the point, 0 if the limit is certain; in
            calibrations, the level of the threshold; 1 for a pilot. Shape (points,).
    """

    id: IdArray = field(metadata=column(np.uint64))
    theta: FloatArray = field(metadata=column(np.float64, wide=True))
    null_truth: BoolArray = field(metadata=column(np.bool_, wide=True))
    stream: IntArray = field(metadata=column(np.int64))
    begin: IntArray = field(metadata=column(np.int64, "begin_sim"))
    n_sims: IntArray = field(metadata=column(np.int64))
    level: FloatArray = field(metadata=column(np.float64))

    @staticmethod
    def asked(
        theta: FloatArray,
        null_truth: BoolArray,
        *,
        stream: int,
        n_sims: IntArray,
        level: FloatArray | float,
        begin: IntArray | int = 0,
    ) -> Points:
        """Return points with the ids that follow from the arguments; scalars apply to all points."""
        n = len(theta)
        streams, begins = np.full(n, stream), np.broadcast_to(np.asarray(begin, np.int64), (n,))
        levels = np.broadcast_to(np.asarray(level, float), (n,)) + 0.0
        words = [streams, begins, n_sims, *null_truth.T, *(real.view(np.uint64) for real in (*(theta + 0.0).T, levels))]
        return Points(hash_words(words), theta, null_truth, streams, begins, n_sims, levels)

    @staticmethod
    def apart(theta: FloatArray, null_truth: BoolArray, *, stream: int, first: int, each: int) -> Points:
        """Return points that share no simulations, for tests that certify nothing.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: their null configurations.
            stream: number of the seed stream.
            first: first simulation of the first point. The simulations of later points follow.
            each: number of simulations of each point.
        """
        begin = first + each * np.arange(len(theta), dtype=np.int64)
        n_sims = np.full(len(theta), each, np.int64)
        return Points.asked(theta, null_truth, stream=stream, begin=begin, n_sims=n_sims, level=1.0)

    def __repr__(self) -> str:
        return f"<{len(self):,} points of {self.theta.shape[1]} parameters>"


def point_columns(dim: int, n_nulls: int) -> Mapping[str, type]:
    """Return names and types of the columns of `Points.to_frame`."""
    return {
        "id": np.uint64,
        **{f"theta{i}": np.float64 for i in range(dim)},
        **{f"null_truth{i}": np.uint8 for i in range(n_nulls)},
        "stream": np.uint32,
        "begin_sim": np.int64,
        "n_sims": np.int64,
        "level": np.float64,
    }
