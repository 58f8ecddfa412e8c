"""Runs one design at many points: statistics of chunks of simulations, counts or smallest values out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from typing import final

import jax
import numpy as np

from adagrid._programs import as_numpy
from adagrid._typing import Array, ArrayLike, BoolArray, FloatArray, IntArray
from adagrid.engine.arrays import Arrays
from adagrid.engine.compiled import Compiled
from adagrid.engine.evaluator import MAX_SIMS, Call, Evaluator, Shape
from adagrid.engine.kernels import SmallestValues
from adagrid.engine.rounding import Rounding
from adagrid.engine.ties import RejectionLimit
from adagrid.errors import InvalidInputError, ModelError
from adagrid.models import ArrayModel, Model

_CHUNK = 8192
# Calls that may be under way at once: enough to overlap host and device, few enough to bound memory.
_QUEUE = 2
# Last word of the hash that seeds streams: SeedSequence treats sequences as equal that differ in zeros at their end.
_STREAM = 0x57


class StatisticError(ModelError):
    """A statistic is NaN, a whole number that is too large, or outside the range whose mean is bounded.

    Args:
        point: position of the point among those simulated.
        simulation: index of the simulation.
        theta: the parameters.
        null_truth: which null hypotheses are true.
        value_range: least and largest value of a statistic whose mean is asked for.
    """

    def __init__(
        self,
        point: int,
        simulation: int,
        theta: FloatArray,
        null_truth: BoolArray,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.point, self.simulation, self.theta, self.null_truth = point, simulation, theta, null_truth
        trial = f"simulation {simulation} at theta={theta.tolist()}"
        if value_range is None:
            sentence = (
                f"A statistic must be a number or an infinity, but {trial} returned NaN, or a whole number that is not "
                "below 2**24 (2**53 in double precision), where rounding begins. Return +inf where small statistics "
                "reject (-inf where large ones do) for a trial that cannot be evaluated."
            )
        else:
            sentence = (
                f"A statistic whose mean is bounded must be in its value_range={value_range}, but {trial} returned "
                "something else, or NaN. Correct the statistic or the range."
            )
        super().__init__(sentence)


@final
class Simulator:
    """Simulates a design. Statistics are turned so that small ones reject.

    Args:
        model: the design.
        seed: model seed.
        n_nulls: null hypotheses.
        shape: shape of the calls; planned from the design's memory use if None.
        at_most: the most simulations that any point will have; keeps the chunk small for small jobs.
        selects: whether `smallest` will be called, not `count`: the shape is planned for one of them.
        value_range: least and largest value of the statistic, for its mean: the statistic is then rounded at random,
            and a simulation rejects, with threshold 0, if it is rounded up. None where the statistic itself is compared
            with the threshold.

    Raises:
        ModelError: if the design raises or returns anything but real numbers.
    """

    def __init__(
        self,
        model: Model,
        seed: int,
        n_nulls: int,
        *,
        shape: Shape | None = None,
        at_most: int = _CHUNK,
        selects: bool = False,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.model, self.value_range = model, value_range
        self._real = np.dtype(np.float64 if model.precision == "double" else np.float32)
        self.n_nulls = n_nulls
        self._chunk = shape.chunk if shape else min(_CHUNK, max(16, 1 << (at_most - 1).bit_length()))
        self._model_seed = seed
        self._stream: tuple[int, Simulator] | None = None
        block = shape.block if shape else None
        rounding = None if value_range is None else Rounding(*value_range)
        self._evaluator: Evaluator = (
            Arrays(model, seed, self._chunk, block, rounding)
            if isinstance(model, ArrayModel)
            else Compiled(model, seed, n_nulls, self._chunk, block, selects=selects, rounding=rounding)
        )
        self.shape, self.dtype = self._evaluator.shape, self._evaluator.dtype

    @property
    def fingerprint(self) -> str | None:
        """A hash of what is simulated, behind words that say of what: only equal words can be compared.

        Of a design in JAX: its traced programs, with every constant, attribute and file content that they hold. None
        of a design that calls Python.
        """
        return self._evaluator.fingerprint

    @property
    def is_weak(self) -> bool:
        """Whether a simulation whose statistic equals the threshold rejects."""
        return self.value_range is None and self.model.is_weak

    def reseeded(self, seed: int) -> Simulator:
        """Return a simulator of the same design with other simulations; nothing is compiled again."""
        other = copy(self)
        other._model_seed, other._stream = seed, None
        other._evaluator = self._evaluator.seeded(seed)
        return other

    def of_stream(self, stream: int) -> Simulator:
        """Return a simulator of the same design with the simulations of a numbered seed stream.

        Streams are independent of each other and of the model seed's own simulations: their seeds are hashes of it
        (numpy.random.SeedSequence).
        """
        if self._stream is None or self._stream[0] != stream:  # one at a time, so that its draws stay in memory
            seed = int(np.random.SeedSequence([self._model_seed, stream, _STREAM]).generate_state(1, np.uint64)[0])
            self._stream = stream, self.reseeded(seed)
        return self._stream[1]

    def represented(self, theta: FloatArray) -> FloatArray:
        """Return the points that are simulated for parameters: theta in the design's own precision."""
        return theta.astype(self._real).astype(np.float64)

    def count(
        self,
        theta: FloatArray,
        null_truth: BoolArray,
        threshold: float,
        begin: ArrayLike,
        end: ArrayLike,
        *,
        ties: bool = True,
    ) -> IntArray:
        """Count the rejections among simulations begin to end: statistics on the rejecting side of the threshold.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            threshold: in the direction in which small statistics reject.
            begin: first simulation, a number or one per point.
            end: one past the last simulation, a number or one per point.
            ties: whether statistics within rounding of the threshold count as rejections (see `ties`).

        Returns:
            Shape (points,).

        Raises:
            StatisticError: if a statistic is NaN.
        """
        total = np.zeros(len(theta), np.int64)
        rejection_limit = RejectionLimit.of(threshold, self.dtype, weak=self.is_weak, ties=ties)

        def finish(call: Call, counts: Array) -> None:
            if counts[1, : len(call.rows)].any():
                self._raise_nan(call, theta)
            total[call.rows] += counts[0, : len(call.rows)]

        self._run(
            self._calls(theta, null_truth, begin, end),
            lambda call: self._evaluator.count(call, rejection_limit),
            finish,
        )
        return total

    def smallest(
        self, theta: FloatArray, null_truth: BoolArray, n_sims: ArrayLike, m: ArrayLike, begin: ArrayLike = 0
    ) -> Array:
        """Return the m smallest statistics among n_sims simulations, in ascending order.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            n_sims: simulations, a number or one per point.
            m: how many, from 1 to n_sims, a number or one per point.
            begin: first simulation, a number or one per point.

        Returns:
            Shape (points, largest m), in the statistic's own type; +inf beyond a point's own m.

        Raises:
            StatisticError: if a statistic is NaN.
        """
        wanted = np.broadcast_to(np.asarray(m, np.int64), (len(theta),))
        smallest_values = [SmallestValues(int(count), self._chunk, self.dtype) for count in wanted]

        def finish(call: Call, values: Array) -> None:
            for row, _, statistics in self._counted(call, values, theta):
                smallest_values[row].push(statistics)

        ends = np.asarray(begin, np.int64) + np.asarray(n_sims, np.int64)
        self._run(self._calls(theta, null_truth, begin, ends), self._evaluator.statistics, finish)
        result = np.full((len(theta), int(np.max(m))), np.inf, self.dtype)
        for row, values in enumerate(smallest_values):
            found = values.sorted()
            result[row, : len(found)] = found
        return result

    def statistics(self, theta: FloatArray, null_truth: BoolArray, n_sims: int, begin: ArrayLike = 0) -> Array:
        """Return all statistics, in the order of the simulations.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            n_sims: simulations of each point.
            begin: first simulation, a number or one per point.

        Returns:
            Shape (points, n_sims), in the statistic's own type.

        Raises:
            StatisticError: if a statistic is NaN.
        """
        begins = np.broadcast_to(np.asarray(begin, np.int64), (len(theta),))
        result = np.empty((len(theta), n_sims), self.dtype)

        def finish(call: Call, values: Array) -> None:
            for row, first, statistics in self._counted(call, values, theta):
                start = first - begins[row]
                result[row, start : start + len(statistics)] = statistics

        self._run(self._calls(theta, null_truth, begins, begins + n_sims), self._evaluator.statistics, finish)
        return result

    def _run(
        self,
        calls: Iterator[Call],
        start: Callable[[Call], jax.Array | Array],
        finish: Callable[[Call, Array], None],
    ) -> None:
        """Run calls, a few at a time: the device works while the host finishes earlier ones."""
        pending: deque[tuple[Call, jax.Array | Array]] = deque()
        for call in calls:
            pending.append((call, start(call)))
            if len(pending) > _QUEUE:
                done, answer = pending.popleft()
                finish(done, as_numpy(answer))
        for done, answer in pending:
            finish(done, as_numpy(answer))

    def _counted(self, call: Call, values: Array, theta: FloatArray) -> Iterator[tuple[int, int, Array]]:
        """Yield, for every point of a call with simulations that count, its row, the first of these, and statistics.

        Raises:
            StatisticError: if one is NaN.
        """
        for row, first, last, own in zip(call.rows, call.first, call.last, values, strict=False):
            statistics = own[first:last]
            if np.isnan(statistics).any():
                self._raise_nan(call, theta)
            if len(statistics):
                yield int(row), call.chunk * self._chunk + int(first), statistics

    def _calls(self, theta: FloatArray, null_truth: BoolArray, begin: ArrayLike, end: ArrayLike) -> Iterator[Call]:
        """Yield every call that is needed; points with similar ranges of simulations share blocks."""
        begins = np.broadcast_to(np.asarray(begin, np.int64), (len(theta),))
        ends = np.broadcast_to(np.asarray(end, np.int64), (len(theta),))
        wrong = np.flatnonzero(~((begins >= 0) & (begins < ends) & (ends <= MAX_SIMS)))
        if len(wrong):
            raise InvalidInputError(
                f"0 <= begin < end <= {MAX_SIMS} must hold; got begin={begins[wrong[0]]}, end={ends[wrong[0]]}."
            )
        order = np.lexsort((np.arange(len(theta)), ends, begins))
        blocks = []
        for start in range(0, len(order), self.shape.block):
            rows = order[start : start + self.shape.block]
            padded = np.concatenate([rows, np.repeat(rows[:1], self.shape.block - len(rows))])
            blocks.append((rows, padded, theta[padded].astype(self._real), null_truth[padded]))
        first_chunk, last_chunk = begins.min(initial=MAX_SIMS) // self._chunk, -(-ends.max(initial=0) // self._chunk)
        for chunk in range(first_chunk, last_chunk):
            offset = chunk * self._chunk
            for rows, padded, points, truth in blocks:
                first = np.clip(begins[padded] - offset, 0, self._chunk).astype(np.int32)
                last = np.clip(ends[padded] - offset, 0, self._chunk).astype(np.int32)
                if (first < last).any():
                    yield Call(chunk, rows, points, truth, first, last)

    def _raise_nan(self, call: Call, theta: FloatArray) -> None:
        """Find the first NaN of a call and raise."""
        points = slice(len(call.rows))
        values = as_numpy(self._evaluator.statistics(call))[points]
        column = np.arange(self._chunk)
        counted = (column >= call.first[points, None]) & (column < call.last[points, None])
        point, simulation = np.argwhere(np.isnan(values) & counted)[0]
        row = int(call.rows[point])
        simulation += call.chunk * self._chunk
        raise StatisticError(row, int(simulation), theta[row], call.null_truth[point], self.value_range)
