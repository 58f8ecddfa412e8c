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

from adagrid._typing import Array, BoolArray, FloatArray, IntArray
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


class StatisticError(ModelError):
    """A statistic is NaN.

    Args:
        point: position of the point among those simulated.
        simulation: index of the simulation.
        theta: the parameters.
    """

    def __init__(self, point: int, simulation: int, theta: FloatArray) -> None:
        self.point, self.simulation, self.theta = point, simulation, theta
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
        self._n_nulls = n_nulls
        self._chunk = shape.chunk if shape else min(_CHUNK, max(16, 1 << (at_most - 1).bit_length()))
        self._seed(seed)
        with self._precision():
            self._draw = jax.jit(self._draw_chunk)
            self._draw_shape = self._traced("draw", jax.eval_shape, self._draw, self._key, np.uint32(0))
            self._check_draw()
            self.dtype = self._checked_dtype()
            self._count = jax.jit(self._count_block)
            self._statistics, block = self._planned(shape.block if shape else None)
        self.shape = Shape(self._chunk, block)

    def reseeded(self, seed: int) -> Simulator:
        """Return a simulator of the same design with other simulations; nothing is compiled again."""
        other = copy(self)
        other._seed(seed)
        return other

    def represented(self, theta: FloatArray) -> FloatArray:
        """Return the points that are simulated for parameters: theta in the design's own precision."""
        return theta.astype(self._real).astype(np.float64)

    def count(self, theta: FloatArray, null_truth: BoolArray, threshold: float, begin: int, end: int) -> IntArray:
        """Count the rejections among simulations begin to end: statistics strictly below the threshold.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            threshold: in the direction in which small statistics reject.
            begin: first simulation.
            end: one past the last simulation.

        Returns:
            Shape (points,).

        Raises:
            StatisticError: if a statistic is NaN.
        """
        total = np.zeros((2, len(theta)), np.int64)
        limit = _rounded_up(threshold, self.dtype)
        pending: deque[tuple[int, slice, jax.Array]] = deque()

        def collect() -> None:
            number, rows, counts = pending.popleft()
            found = np.asarray(counts)[:, : rows.stop - rows.start]
            if found[1].any():
                self._raise_nan(theta, null_truth, rows, number, begin, end)
            total[:, rows] += found

        for number, rows, block in self._calls(theta, null_truth, begin, end):
            first = number * self._chunk
            with self._precision():
                counts = self._count(
                    self._draws(number), *block, limit, np.int32(max(begin - first, 0)),
                    np.int32(min(end - first, self._chunk)),
                )  # fmt: skip
            pending.append((number, rows, counts))
            if len(pending) > _QUEUE:
                collect()
        while pending:
            collect()
        return total[0]

    def smallest(self, theta: FloatArray, null_truth: BoolArray, n_sims: int, m: int) -> Array:
        """Return the m smallest statistics among simulations 0 to n_sims, in ascending order.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: shape (points, hypotheses).
            n_sims: simulations, the same for every point.
            m: how many, from 1 to n_sims.

        Returns:
            Shape (points, m), in the statistic's own type.

        Raises:
            StatisticError: if a statistic is NaN.
        """
        kept = [SmallestValues(m, self._chunk, self.dtype) for _ in range(len(theta))]
        pending: deque[tuple[int, slice, jax.Array]] = deque()

        def collect() -> None:
            number, rows, values = pending.popleft()
            host = np.asarray(values)[:, : min(n_sims - number * self._chunk, self._chunk)]
            if np.isnan(host[: rows.stop - rows.start]).any():
                self._raise_nan(theta, null_truth, rows, number, 0, n_sims)
            for row in range(rows.start, rows.stop):
                kept[row].push(host[row - rows.start])

        for number, rows, block in self._calls(theta, null_truth, 0, n_sims):
            with self._precision():
                pending.append((number, rows, self._statistics(self._draws(number), *block)))
            if len(pending) > _QUEUE:
                collect()
        while pending:
            collect()
        return np.stack([values.sorted() for values in kept]) if kept else np.empty((0, m), self.dtype)

    def _seed(self, seed: int) -> None:
        key = jax.random.key(np.uint32(seed % 2**32), impl="threefry2x32")
        self._key = key if seed < 2**32 else jax.random.fold_in(key, np.uint32(seed >> 32))
        self._cache: OrderedDict[int, Any] = OrderedDict()

    def _calls(
        self, theta: FloatArray, null_truth: BoolArray, begin: int, end: int
    ) -> Iterator[tuple[int, slice, tuple[Array, Array]]]:
        """Yield (chunk number, rows, padded block of parameters) for every call that is needed."""
        if not 0 <= begin < end <= MAX_SIMS:
            raise InvalidInputError(f"0 <= begin < end <= {MAX_SIMS} must hold; got begin={begin}, end={end}.")
        blocks = []
        for start in range(0, len(theta), self.shape.block):
            rows = slice(start, min(start + self.shape.block, len(theta)))
            index = np.arange(start, start + self.shape.block)
            index[rows.stop - start :] = start
            blocks.append((rows, (theta[index].astype(self._real), null_truth[index])))
        for number in range(begin // self._chunk, -(-end // self._chunk)):
            for rows, block in blocks:
                yield number, rows, block

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
            real = value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(self._real)
            return -real if self.model.reject_when == "large" else real

        return jax.vmap(lambda p, t: jax.vmap(lambda d: one(d, p, t))(draws))(theta, null_truth)

    def _count_block(
        self, draws: Any, theta: jax.Array, null_truth: jax.Array, limit: jax.Array, begin: jax.Array, end: jax.Array
    ) -> jax.Array:
        return count_below(self._statistic_block(draws, theta, null_truth), limit, begin, end)

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
            size = max(1, 1 << min(size.bit_length() - 2, (size * _CALL_BYTES // used).bit_length() - 1))

    def _arguments_of(self, block: int) -> tuple[Any, ...]:
        theta = _struct((block, self.model.family.dim), self._real)
        return self._draw_shape, theta, _struct((block, self._n_nulls), np.dtype(np.bool_))

    def _check_draw(self) -> None:
        if not jax.tree.leaves(self._draw_shape):
            raise ModelError(f"{type(self.model).__name__}.draw must return arrays, but returned none.")

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
            raise ModelError(f"{type(self.model).__name__}.{method} raised {type(error).__name__}: {error}") from error

    def _raise_nan(
        self, theta: FloatArray, null_truth: BoolArray, rows: slice, number: int, begin: int, end: int
    ) -> None:
        """Find the first NaN of a call and raise."""
        index = np.arange(rows.start, rows.start + self.shape.block)
        index[rows.stop - rows.start :] = rows.start
        with self._precision():
            values = np.asarray(
                self._statistics(self._draws(number), theta[index].astype(self._real), null_truth[index])
            )
        simulation = number * self._chunk + np.arange(self._chunk)
        wrong = np.isnan(values[: rows.stop - rows.start]) & (simulation >= begin) & (simulation < end)
        point, column = np.argwhere(wrong)[0]
        raise StatisticError(rows.start + int(point), int(simulation[column]), theta[rows.start + int(point)])

    def _precision(self) -> AbstractContextManager[Any]:
        """Give JAX the design's precision for the calls in a with block, and for nothing else."""
        return jax.enable_x64(self.model.precision == "double")


def _struct(shape: tuple[int, int], dtype: np.dtype[Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


def _rounded_up(threshold: float, dtype: np.dtype) -> np.generic:
    """Return the smallest number of a type that is not below the threshold.

    A statistic of that type is below the one exactly when it is below the other.
    """
    with np.errstate(over="ignore"):
        limit = dtype.type(threshold)
    return limit if float(limit) >= threshold else np.nextafter(limit, dtype.type(np.inf))
