"""Runs one design at many points: draws once, statistics everywhere, counts or smallest values out.

Two compiled stages, draw and statistic, never in one: the compiler contracts the end of one with the beginning
of the other, and the bits would change with the fusion. Every call has the same shape (a chunk of simulations
by a block of points, the last block padded with its own first point), so nothing is compiled twice and results
do not depend on how points are packed together.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._typing import Array, ArrayLike, BoolArray, FloatArray, IntArray
from adagrid.engine.kernels import SmallestValues, count_below
from adagrid.errors import InvalidInputError, ModelError
from adagrid.models import Model

MAX_SIMS = 2**31 - 1
_CHUNK, _BLOCK = 8192, 64
# Beyond this much memory per call for temporaries and output, calls become several times slower.
_CALL_BYTES = 16 << 20
_DRAW_CACHE_BYTES = 256 << 20
# Calls that may be under way at once: enough to overlap host and device, few enough to bound memory.
_QUEUE = 2
# Last word of the hash that seeds streams: SeedSequence does not tell apart sequences that end in different zeros.
_STREAM = 0x57


class StatisticError(ModelError):
    """A statistic is NaN.

    Args:
        point: position of the point among those simulated.
        simulation: index of the simulation.
        theta: the parameters.
        null_truth: which null hypotheses are true.
    """

    def __init__(self, point: int, simulation: int, theta: FloatArray, null_truth: BoolArray) -> None:
        self.point, self.simulation, self.theta, self.null_truth = point, simulation, theta, null_truth
        super().__init__(
            f"A statistic must be a number or an infinity, but simulation {simulation} at theta={theta.tolist()} "
            "returned NaN. Return +inf where small statistics reject (-inf where large ones do) for a trial that "
            "cannot be evaluated."
        )


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
class _Call:
    """One compiled call: a chunk of simulations at a padded block of points.

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


@final
class Simulator:
    """Simulates a design. Statistics are turned so that small ones reject.

    Args:
        model: the design.
        seed: model seed; simulation i of every point uses the i-th key folded into it.
        n_nulls: null hypotheses.
        shape: shape of the compiled calls; planned from the design's memory use if None.
        at_most: the most simulations that any point will have; keeps the chunk small for small jobs.

    Raises:
        ModelError: if the design raises or returns anything but a real scalar.
    """

    def __init__(
        self, model: Model, seed: int, n_nulls: int, *, shape: Shape | None = None, at_most: int = _CHUNK
    ) -> None:
        self.model = model
        self._real = np.dtype(np.float64 if model.precision == "double" else np.float32)
        self.n_nulls = n_nulls
        self._chunk = shape.chunk if shape else min(_CHUNK, max(16, 1 << (at_most - 1).bit_length()))
        self._stream: tuple[int, Simulator] | None
        self._seed(seed)
        with self._precision():
            self._draw = jax.jit(self._draw_chunk)
            self._draw_shape = self._traced("draw", jax.eval_shape, self._draw, self._key, np.uint32(0))
            self._check_draw()
            self._check_indices()
            self.dtype = self._checked_dtype()
            self._count = jax.jit(self._count_block)
            self._statistics, block = self._planned(shape.block if shape else None)
        self.shape = Shape(self._chunk, block)

    def reseeded(self, seed: int) -> Simulator:
        """Return a simulator of the same design with other simulations; nothing is compiled again."""
        other = copy(self)
        other._seed(seed)
        return other

    def of_stream(self, stream: int) -> Simulator:
        """Return a simulator of the same design with the simulations of a numbered seed stream.

        Streams are independent of each other and of the model seed's own simulations: their seeds are hashes of it
        (numpy.random.SeedSequence).
        """
        if self._stream is None or self._stream[0] != stream:  # one at a time, so that draws of one are kept
            seed = int(np.random.SeedSequence([self._model_seed, stream, _STREAM]).generate_state(1, np.uint64)[0])
            self._stream = stream, self.reseeded(seed)
        return self._stream[1]

    def represented(self, theta: FloatArray) -> FloatArray:
        """Return the points that are simulated for parameters: theta in the design's own precision."""
        return theta.astype(self._real).astype(np.float64)

    def count(
        self, theta: FloatArray, null_truth: BoolArray, threshold: float, begin: ArrayLike, end: ArrayLike
    ) -> IntArray:
        """Count the rejections among simulations begin to end: statistics strictly below the threshold.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            threshold: in the direction in which small statistics reject.
            begin: first simulation, a number or one per point.
            end: one past the last simulation, a number or one per point.

        Returns:
            Shape (points,).

        Raises:
            StatisticError: if a statistic is NaN.
        """
        total = np.zeros(len(theta), np.int64)
        limit = _rounded_up(threshold, self.dtype)

        def start(call: _Call) -> jax.Array:
            return self._count(self._draws(call.chunk), call.theta, call.null_truth, limit, call.first, call.last)

        def finish(call: _Call, counts: Array) -> None:
            if counts[1, : len(call.rows)].any():
                self._raise_nan(call, theta)
            total[call.rows] += counts[0, : len(call.rows)]

        self._run(self._calls(theta, null_truth, begin, end), start, finish)
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
        kept = [SmallestValues(int(count), self._chunk, self.dtype) for count in wanted]

        def start(call: _Call) -> jax.Array:
            return self._statistics(self._draws(call.chunk), call.theta, call.null_truth)

        def finish(call: _Call, values: Array) -> None:
            for row, first, last, statistics in zip(call.rows, call.first, call.last, values, strict=False):
                if np.isnan(statistics[first:last]).any():
                    self._raise_nan(call, theta)
                if first < last:
                    kept[row].push(statistics[first:last])

        ends = np.asarray(begin, np.int64) + np.asarray(n_sims, np.int64)
        self._run(self._calls(theta, null_truth, begin, ends), start, finish)
        result = np.full((len(theta), int(np.max(m))), np.inf, self.dtype)
        for row, values in enumerate(kept):
            found = values.sorted()
            result[row, : len(found)] = found
        return result

    def _run(
        self,
        calls: Iterator[_Call],
        start: Callable[[_Call], jax.Array],
        finish: Callable[[_Call, Array], None],
    ) -> None:
        """Run compiled calls, a few at a time: the device works while the host finishes earlier ones."""
        pending: deque[tuple[_Call, jax.Array]] = deque()
        for call in calls:
            with self._precision():
                pending.append((call, start(call)))
            if len(pending) > _QUEUE:
                done, answer = pending.popleft()
                finish(done, np.asarray(answer))
        for done, answer in pending:
            finish(done, np.asarray(answer))

    def _seed(self, seed: int) -> None:
        self._model_seed = seed
        self._stream = None
        words = np.array([seed >> 32, seed % 2**32], np.uint32)
        self._key = jax.random.wrap_key_data(jnp.asarray(words), impl="threefry2x32")
        self._cache: OrderedDict[int, Any] = OrderedDict()

    def _calls(self, theta: FloatArray, null_truth: BoolArray, begin: ArrayLike, end: ArrayLike) -> Iterator[_Call]:
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
                    yield _Call(chunk, rows, points, truth, first, last)

    def _draws(self, number: int) -> Any:
        """Return the draws of a chunk of simulations, from the cache if they are still there."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        draws = self._draw(self._key, np.uint32(number * self._chunk))
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self._draw_shape))
        while self._cache and (len(self._cache) + 1) * size > _DRAW_CACHE_BYTES:
            self._cache.popitem(last=False)
        if size <= _DRAW_CACHE_BYTES:
            self._cache[number] = draws
        return draws

    def _draw_chunk(self, key: jax.Array, first: jax.Array) -> Any:
        index = first + jnp.arange(self._chunk, dtype=jnp.uint32)
        return jax.vmap(lambda i: self.model.draw(jax.random.fold_in(key, i)))(index)

    def _statistic_block(self, draws: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        def one(draw: Any, point: jax.Array, truth: jax.Array) -> jax.Array:
            value = jnp.asarray(self.model.statistic(draw, point, truth))
            if jnp.issubdtype(value.dtype, jnp.complexfloating):
                raise TypeError(f"a statistic must be a real number, but its type is {value.dtype}.")
            if value.dtype == bool:
                raise TypeError(
                    "a statistic must be a number, but its type is bool. Return the statistic, not the decision; or "
                    "return jnp.where(reject, 0.0, 1.0) with reject_when='small' and threshold=0.5."
                )
            turned = -value if self.model.reject_when == "large" else value
            if jnp.issubdtype(value.dtype, jnp.floating):
                return turned
            # whole numbers too large to be exact are rounded down: towards rejection, the safe side
            real = turned.astype(self._real)
            return jnp.where(real.astype(turned.dtype) > turned, jnp.nextafter(real, -jnp.inf), real)

        return jax.vmap(lambda p, t: jax.vmap(lambda d: one(d, p, t))(draws))(theta, null_truth)

    def _count_block(
        self, draws: Any, theta: jax.Array, null_truth: jax.Array, limit: jax.Array, first: jax.Array, last: jax.Array
    ) -> jax.Array:
        return count_below(self._statistic_block(draws, theta, null_truth), limit, first, last)

    def _planned(self, block: int | None) -> tuple[Callable[..., jax.Array], int]:
        """Compile the statistic for the largest block whose call stays within the memory limit."""
        size = block or _BLOCK
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                compiled = jax.jit(self._statistic_block).lower(*self._arguments_of(size)).compile()
                memory = compiled.memory_analysis()
            used = 0 if memory is None else memory.temp_size_in_bytes + memory.output_size_in_bytes
            if block or size == 1 or used <= _CALL_BYTES:
                return compiled, size
            fits = max(1, size * _CALL_BYTES // used)  # points, if memory were in proportion
            size = 1 << min(size.bit_length() - 2, fits.bit_length() - 1)

    def _arguments_of(self, block: int) -> tuple[Any, ...]:
        theta = _struct((block, self.model.family.dim), self._real)
        return self._draw_shape, theta, _struct((block, self.n_nulls), np.dtype(np.bool_))

    def _check_draw(self) -> None:
        name = type(self.model).__name__
        if not jax.tree.leaves(self._draw_shape):
            raise ModelError(f"{name}.draw must return arrays, but returned none.")
        draws = [np.asarray(leaf) for leaf in jax.tree.leaves(self._draws(0))]
        if all((leaf == leaf[:1]).all() for leaf in draws):
            raise ModelError(
                f"{name}.draw must be random, but returned the same for every key. Draw with jax.random from the key "
                "that is given: numpy.random would run once, when the design is compiled."
            )

    def _check_indices(self) -> None:
        """Refuse indices beyond the parameters or hypotheses, which JAX would silently move into range."""
        theta, truth = np.zeros(self.model.family.dim, self._real), np.ones(self.n_nulls, bool)
        one = jax.tree.map(lambda leaf: _struct(leaf.shape[1:], leaf.dtype), self._draw_shape)
        try:
            with np.errstate(all="ignore"):  # zero need not be in the natural parameter space
                jax.eval_shape(lambda draw: self.model.statistic(draw, theta, truth), one)  # type: ignore[arg-type]
        except IndexError as error:
            raise ModelError(
                f"{type(self.model).__name__}.statistic reads beyond its arguments ({error}): theta has "
                f"{len(theta)} entries, null_truth {len(truth)}, one per null hypothesis of the grid."
            ) from error
        except Exception:  # noqa: S110 - NumPy arrays lack methods of JAX arrays; the compiled stage tells of others
            pass

    def _checked_dtype(self) -> np.dtype:
        name = type(self.model).__name__
        result = self._traced("statistic", jax.eval_shape, self._statistic_block, *self._arguments_of(1))
        if result.shape != (1, self._chunk):
            raise ModelError(
                f"{name}.statistic must return a scalar for one trial, but returned shape {result.shape[2:]}."
            )
        return np.dtype(result.dtype)

    def _traced(self, method: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            traced = isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError))
            hint = " In a design use jnp.where, not if, and functions of jax.numpy and jax.scipy." if traced else ""
            raise ModelError(
                f"{type(self.model).__name__}.{method} raised {type(error).__name__}: {error}{hint}"
            ) from error

    def _raise_nan(self, call: _Call, theta: FloatArray) -> None:
        """Find the first NaN of a call and raise."""
        with self._precision():
            values = np.asarray(self._statistics(self._draws(call.chunk), call.theta, call.null_truth))
        column = np.arange(self._chunk)
        counted = (column >= call.first[:, None]) & (column < call.last[:, None])
        point, simulation = np.argwhere((np.isnan(values) & counted)[: len(call.rows)])[0]
        row = int(call.rows[point])
        raise StatisticError(row, call.chunk * self._chunk + int(simulation), theta[row], call.null_truth[point])

    def _precision(self) -> AbstractContextManager[Any]:
        """Give JAX the design's precision for the calls in a with block, and for nothing else."""
        return jax.enable_x64(self.model.precision == "double")


def _struct(shape: tuple[int, ...], dtype: np.dtype[Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


def _rounded_up(threshold: float, dtype: np.dtype) -> np.generic:
    """Return the smallest number of a type that is not below the threshold.

    A statistic of that type is below the one exactly when it is below the other. Devices may take subnormal
    numbers for zero, in statistics and thresholds alike: a positive subnormal threshold becomes a normal one.
    """
    with np.errstate(over="ignore", under="ignore"):
        limit = dtype.type(threshold)
    if float(limit) < threshold:
        limit = np.nextafter(limit, dtype.type(np.inf))
    smallest = np.finfo(dtype).tiny
    return smallest if 0 < limit < smallest else limit
