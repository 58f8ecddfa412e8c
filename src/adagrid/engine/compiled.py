"""Runs designs that are written for one trial in JAX.

Two compiled stages, draw and statistic, never in one: the compiler contracts the end of one with the beginning
of the other, and the bits would change with the fusion. Every call has the same shape (a chunk of simulations
by a block of points, the last block padded with its own first point), so nothing is compiled twice and results
do not depend on how points are packed together.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import copy
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid.engine.evaluator import Call, Evaluator, Shape
from adagrid.engine.kernels import count_below
from adagrid.errors import ModelError
from adagrid.models import Model
from adagrid.models._rounding import design_name

_BLOCK = 64
# Beyond this much memory per call for temporaries and output, calls become several times slower.
_CALL_BYTES = 16 << 20
_DRAW_CACHE_BYTES = 256 << 20
# Below these, whole numbers are exact.
_EXACT = {"float32": 2.0**24, "float64": 2.0**53}


@final
class Compiled(Evaluator):
    """Runs a design in JAX.

    Args:
        model: the design.
        seed: simulation i of every point uses the i-th key folded into it.
        n_nulls: null hypotheses.
        chunk: simulations per call.
        block: points per call; planned from the design's memory use if None.

    Raises:
        ModelError: if the design raises or returns anything but a real scalar.
    """

    def __init__(self, model: Model, seed: int, n_nulls: int, chunk: int, block: int | None) -> None:
        self.model = model
        self.n_nulls = n_nulls
        self._real = np.dtype(np.float64 if model.precision == "double" else np.float32)
        self._chunk = chunk
        self._seed(seed)
        with self._precision():
            self._draw = jax.jit(self._draw_chunk)
            self._draw_shape = self._traced("draw", jax.eval_shape, self._draw, self._key, np.uint32(0))
            self._check_draw()
            self._check_indices()
            self.dtype = self._checked_dtype()
            self._count = jax.jit(self._count_block)
            self._statistics, planned = self._planned(block)
        self.shape = Shape(chunk, planned)

    @override
    def seeded(self, seed: int) -> Compiled:
        other = copy(self)
        other._seed(seed)
        return other

    @override
    def count(self, call: Call, limit: np.generic) -> jax.Array:
        with self._precision():
            draws = self._draws(call.chunk)
            return self._count(draws, call.theta, call.null_truth, limit, call.first, call.last)

    @override
    def statistics(self, call: Call) -> jax.Array:
        with self._precision():
            return self._statistics(self._draws(call.chunk), call.theta, call.null_truth)

    def _seed(self, seed: int) -> None:
        words = np.array([seed >> 32, seed % 2**32], np.uint32)
        self._key = jax.random.wrap_key_data(jnp.asarray(words), impl="threefry2x32")
        self._cache: OrderedDict[int, Any] = OrderedDict()

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
            if not jnp.issubdtype(value.dtype, jnp.floating):
                # before turning, which would wrap whole numbers around; those that would be rounded are refused
                real = value.astype(self._real)
                value = jnp.where(jnp.abs(real) < _EXACT[self._real.name], real, jnp.nan)
            return -value if self.model.reject_when == "large" else value

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
        name = design_name(self.model)
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
                f"{design_name(self.model)}.statistic reads beyond its arguments ({error}): theta has "
                f"{len(theta)} entries, null_truth {len(truth)}, one per null hypothesis of the grid."
            ) from error
        except Exception:  # noqa: S110 - NumPy arrays lack methods of JAX arrays; the compiled stage tells of others
            pass

    def _checked_dtype(self) -> np.dtype:
        name = design_name(self.model)
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
                f"{design_name(self.model)}.{method} raised {type(error).__name__}: {error}{hint}"
            ) from error

    def _precision(self) -> AbstractContextManager[Any]:
        """Give JAX the design's precision for the calls in a with block, and for nothing else."""
        return jax.enable_x64(self.model.precision == "double")


def _struct(shape: tuple[int, ...], dtype: np.dtype[Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]
