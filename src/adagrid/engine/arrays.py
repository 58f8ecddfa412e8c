"""Runs designs that make arrays of statistics themselves: asks for what is needed, and tries what they promise."""

from __future__ import annotations

from copy import copy
from typing import final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.engine.evaluator import Call, Evaluator, Shape
from adagrid.engine.rounding import Rounding
from adagrid.engine.ties import RejectionLimit
from adagrid.errors import ModelError
from adagrid.models import ArrayModel

_BLOCK = 64
# Simulations that are tried first, and how many of them must differ from the commonest value for seeds to be compared.
_TRIED, _DIFFERENT = 64, 8
# Beyond this, whole numbers are not exact in double precision.
_LARGEST = 2**53


@final
class Arrays(Evaluator):
    """Runs a design without JAX.

    Args:
        model: the design.
        seed: seed of its simulations.
        chunk: simulations per call.
        block: points per call; 64 if None.
        rounding: rounds the statistics at random, for their mean; None where statistics themselves are compared.
    """

    def __init__(
        self, model: ArrayModel, seed: int, chunk: int, block: int | None, rounding: Rounding | None = None
    ) -> None:
        self.shape = Shape(chunk, block or _BLOCK)
        self.dtype = np.dtype(np.float64)
        self._model = model.seeded(seed)
        self._rounding, self._tried = rounding, False

    @property
    @override
    def fingerprint(self) -> str | None:
        return None

    @override
    def seeded(self, seed: int) -> Arrays:
        other = copy(self)
        other._model, other._tried = self._model.seeded(seed), False
        return other

    @override
    def count(self, call: Call, rejection_limit: RejectionLimit) -> Array:
        values, column = self.statistics(call), np.arange(self.shape.chunk)
        rows = slice(len(values))
        asked = (column >= call.first[rows, None]) & (column < call.last[rows, None])
        return np.stack([(rejection_limit.rejects(values) & asked).sum(axis=1), np.isnan(values).sum(axis=1)])

    @override
    def statistics(self, call: Call) -> Array:
        """Return statistics, +inf where none is needed: without the rows and simulations that only fill up a call."""
        values = np.full((len(call.rows), self.shape.chunk), np.inf)
        ranges = np.stack([call.first, call.last], axis=1)[: len(call.rows)]
        for first, last in np.unique(ranges, axis=0).tolist():
            rows = np.flatnonzero((ranges == (first, last)).all(axis=1))
            if first < last:
                offset = call.chunk * self.shape.chunk
                theta, truth = call.theta[rows].astype(np.float64), call.null_truth[rows]
                self._try(offset + first, offset + last, theta[:1], truth[:1])
                values[rows, first:last] = self._turned(offset + first, offset + last, theta, truth)
        return values

    def _turned(self, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> FloatArray:
        """Return what is compared with the threshold, turned so that small values reject."""
        values = self._run_trials(self._model, begin, end, theta, null_truth)
        if self._rounding is None:
            return self._model.direction * values.astype(np.float64)
        return self._rounding.direction * self._rounding.differences(values, self._model, begin, end)

    def _run_trials(self, model: ArrayModel, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> Array:
        """Return what a design simulates."""
        name = f"{type(model).__name__}.simulate"
        try:
            values = np.asarray(model.simulate(begin, end, theta, null_truth))
        except Exception as error:
            raise ModelError(f"{name} raised {type(error).__name__}: {error}") from error
        expected = (len(theta), end - begin)
        if values.dtype.kind not in "iuf" or values.shape != expected:
            raise ModelError(
                f"{name} must return numbers of shape (points, simulations) = {expected}, but returned "
                f"{values.dtype} of shape {values.shape}. Return statistics, not decisions; or 0 and 1 with "
                "threshold=0.5."
            )
        if values.dtype.kind in "iu" and values.size and np.abs(values.astype(float)).max() > _LARGEST:
            raise ModelError(f"{name} must return whole numbers of at most 2**53, or real ones.")
        return values

    def _try(self, begin: int, end: int, theta: FloatArray, null_truth: BoolArray) -> None:
        """Try once whether simulations depend on the seed, and on their own index only.

        Raises:
            ModelError: if not: fresh simulations would not be fresh, or results depend on how they are packed.
        """
        if self._tried:
            return
        self._tried = True
        end = min(end, begin + _TRIED)
        middle = (begin + end + 1) // 2
        whole = self._run_trials(self._model, begin, end, theta, null_truth)
        parts = [
            self._run_trials(self._model, *part, theta, null_truth)
            for part in ((begin, middle), (middle, end))
            if part[0] < part[1]
        ]
        name = type(self._model).__name__
        if not np.array_equal(whole, np.concatenate(parts, axis=1), equal_nan=True):
            raise ModelError(
                f"{name}.simulate must give simulation i the same statistic whatever begin and end are. Take its "
                "randomness from self.uniforms(begin, end, ...), or from a generator made for every i."
            )
        other = self._run_trials(self._model.seeded(self._model.seed ^ 1), begin, end, theta, null_truth)
        _, counts = np.unique(whole, return_counts=True)
        if whole.size - counts.max() >= _DIFFERENT and np.array_equal(whole, other, equal_nan=True):
            raise ModelError(
                f"{name}.simulate must give other trials for another seed, but self.seed makes no difference. Take its "
                "randomness from self.uniforms(begin, end, ...), or seed generators with self.seed."
            )
