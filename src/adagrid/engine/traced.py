"""Traces a design that is written for one trial into programs for chunks of simulations, and checks what it returns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np

from adagrid._programs import Program, shaped
from adagrid._typing import Array
from adagrid.engine.evaluator import Shape
from adagrid.engine.kernels import count_rejections
from adagrid.engine.rounding import Rounding
from adagrid.errors import BackendError, ModelError
from adagrid.models import Model

_BLOCK = 64
# Beyond this much memory per call for temporaries and output, calls become several times slower.
_CALL_BYTES = 16 << 20
# Bytes of the smallest type of statistics.
_SMALLEST = 4
# Below these, whole numbers are exact.
_EXACT = {"float32": 2.0**24, "float64": 2.0**53}


@final
class TracedDesign:
    """The programs of one design: draws of a chunk of simulations, and statistics or counts at a block of points.

    Draws and statistics are never one program: the compiler contracts the end of one with the beginning of the other,
    and the bits would change with the fusion. Each program is compiled when it is first called.

    Args:
        model: the design.
        n_nulls: null hypotheses.
        chunk: simulations per call.
        block: points per call; planned from the memory that the design needs if None.
        selects: whether the block is planned for returning statistics, or for counting rejections.
        rounding: rounds the statistic at random, for its mean; None where the statistic itself is compared.

    Raises:
        ModelError: if the design raises or returns anything but a real scalar.
    """

    def __init__(
        self,
        model: Model,
        n_nulls: int,
        chunk: int,
        block: int | None,
        *,
        selects: bool,
        rounding: Rounding | None = None,
    ) -> None:
        self._model, self._rounding = model, rounding
        self._direction = model.direction if rounding is None else rounding.direction
        self._n_nulls = n_nulls
        self._chunk = chunk
        self._double = model.precision == "double"
        self._real = np.dtype(np.float64 if self._double else np.float32)
        self.draw = self._program("draw", self._draw_chunk, key_words(0), np.uint32(0))
        if not jax.tree.leaves(self.trials(self.draw.out)):
            raise ModelError(f"{self._name}.draw must return arrays, but returned none.")
        self._check_indices()
        self.shape = Shape(chunk, block or _BLOCK)
        self.dtype = self._checked_dtype()
        if block is None:
            self._plan("statistics" if selects else "count")

    @cached_property
    def statistics(self) -> Program:
        """Turns draws, theta and null truth into statistics, shape (points, chunk); small ones reject."""
        return self._program("statistic", self._statistic_block, *self._arguments)

    @cached_property
    def count(self) -> Program:
        """Turns draws, theta, null truth, limit, exception, first and last into counts; see `count_rejections`."""
        column = shaped((self.shape.block,), np.int32)
        limit = shaped((), self.dtype)
        return self._program("statistic", self._count_block, *self._arguments, limit, limit, column, column)

    @cached_property
    def fingerprint(self) -> str | None:
        """A hash of what draws and statistics compute; None if they call functions of Python."""
        parts = [self.draw.fingerprint, self.statistics.fingerprint]
        if None in parts:
            return None
        return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()

    @property
    def draw_bytes(self) -> int:
        """Memory of one chunk of draws."""
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self.draw.out))

    def trials(self, draws: Any) -> Any:
        """Return what the design itself has drawn, without the numbers that round."""
        return draws if self._rounding is None else draws[0]

    @property
    def _name(self) -> str:
        return type(self._model).__name__

    @property
    def _arguments(self) -> tuple[Any, ...]:
        block = self.shape.block
        theta = shaped((block, self._model.family.dim), self._real)
        return self.draw.out, theta, shaped((block, self._n_nulls), np.bool_)

    def _plan(self, program: Literal["statistics", "count"]) -> None:
        """Take the largest block for which calls of a program stay within the memory limit."""
        while True:
            block, used = self.shape.block, getattr(self, program).memory
            if block == 1 or used <= _CALL_BYTES:
                return
            fits = max(1, block * _CALL_BYTES // used)  # points, if memory were in proportion
            self.shape = Shape(self._chunk, 1 << min(block.bit_length() - 2, fits.bit_length() - 1))
            for name in ("statistics", "count"):  # were for the larger block
                vars(self).pop(name, None)

    def _draw_chunk(self, words: jax.Array, first: jax.Array) -> Any:
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        index = first + jnp.arange(self._chunk, dtype=jnp.uint32)
        return jax.vmap(lambda i: self._draw(jax.random.fold_in(key, i)))(index)

    def _draw(self, key: jax.Array) -> Any:
        draw = self._model.draw
        return draw(key) if self._rounding is None else self._rounding.draw(draw, key)

    def _statistic_block(self, draws: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        return jax.vmap(lambda p, t: jax.vmap(lambda d: self._turned(d, p, t))(draws))(theta, null_truth)

    def _count_block(
        self, draws: Any, theta: jax.Array, null_truth: jax.Array, *cut_and_columns: jax.Array
    ) -> jax.Array:
        return count_rejections(self.statistics.inside(draws, theta, null_truth), *cut_and_columns)

    def _turned(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        """Return the statistic of one trial, turned so that small ones reject."""
        value = jnp.asarray(self._compared(draw, theta, null_truth))
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
        if value.dtype.itemsize < _SMALLEST:  # half precisions, which NumPy does not know; nothing is lost
            value = value.astype(self._real)
        return value if self._direction > 0 else -value

    def _compared(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        """Return what is compared with the threshold: the statistic, or that it is rounded up."""
        if self._rounding is None:
            return self._model.statistic_at(draw, theta, null_truth)
        trial, uniform = draw
        return self._rounding.difference(self._model.statistic_at(trial, theta, null_truth), uniform)

    def _check_indices(self) -> None:
        """Refuse indices beyond parameters, hypotheses or data, which JAX would silently move into range."""
        theta, truth = np.zeros(self._model.family.dim, self._real), np.ones(self._n_nulls, bool)
        one = jax.tree.map(lambda leaf: shaped(leaf.shape[1:], leaf.dtype), self.trials(self.draw.out))
        model: Any = self._model
        shapes: list[Any] = []

        def statistic(draw: Any, stand_in: Callable[[Any], Any]) -> Any:
            seen = model.seen(draw, theta, truth)
            shapes[:] = [jax.tree.map(np.shape, seen[0])]
            return model.statistic(*jax.tree.map(stand_in, seen))

        for stand_in in (_same, _in_numpy):  # a design may need data of JAX, and those of NumPy refuse more
            try:
                with np.errstate(all="ignore"):  # zero need not be in the natural parameter space
                    Program(partial(statistic, stand_in=stand_in), one, double=self._double)
            except jax.errors.JAXIndexError:
                pass  # masks and the like: tracing the statistic reports them
            except IndexError as error:
                trial = f", and the arrays of the trial have the shapes {shapes[0]}" if shapes else ""
                raise ModelError(
                    f"{self._name}.statistic reads beyond its arguments ({error}): theta has "
                    f"{len(theta)} entries, null_truth {len(truth)}, one per null hypothesis of the grid{trial}."
                ) from error
            except Exception:  # noqa: S110 - NumPy arrays lack methods of JAX arrays; tracing the statistic reports others
                pass

    def _checked_dtype(self) -> np.dtype[Any]:
        result = self.statistics.out
        if result.shape != (self.shape.block, self._chunk):
            raise ModelError(
                f"{self._name}.statistic must return a scalar for one trial, but returned shape {result.shape[2:]}."
            )
        return np.dtype(result.dtype)

    def _program(self, method: str, function: Callable[..., Any], *arguments: Any) -> Program:
        """Trace a function that calls a method of the design.

        Raises:
            ModelError: if the method raises.
            BackendError: if this process cannot compute.
        """
        try:
            return Program(function, *arguments, double=self._double)
        except BackendError:
            raise
        except Exception as error:
            traced = isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError))
            hint = " In a design use jnp.where, not if, and functions of jax.numpy and jax.scipy." if traced else ""
            raise ModelError(f"{self._name}.{method} raised {type(error).__name__}: {error}{hint}") from error


def _same(leaf: Any) -> Any:
    return leaf


def _in_numpy(leaf: Any) -> Any:
    """Return an array of NumPy, which refuses indices that one of JAX does not, in place of one of JAX."""
    if not isinstance(leaf, jax.Array) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return np.zeros(leaf.shape, leaf.dtype)


def key_words(seed: int) -> Array:
    """Return the two words of the random key of a 64-bit seed."""
    return np.array([seed >> 32, seed % 2**32], np.uint32)
