"""Compile each JAX program once: for all jobs of a process, by what it computes, and for later processes."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun
from numpy.typing import DTypeLike

from adagrid._compilation_cache import persistent
from adagrid._forks import check_not_forked
from adagrid._jax_settings import COMPILER_OPTIONS, jax_settings
from adagrid._typing import Array

# Bytes above which constants are passed as arguments: as text that is compiled they would take many times as much.
_TABLE = 2**16
# Compiled programs that stay in memory; those used longest ago go first.
_MOST = 64
_compiled: OrderedDict[str, jax.stages.Compiled] = OrderedDict()
_lock = threading.Lock()


@final
class Program:
    """A pure function of JAX arrays, traced for arguments of fixed shapes and types. Calling it compiles it once.

    Two programs that compute the same, constants included, share one compiled executable, whatever objects they were
    made from.

    Args:
        function: the function.
        arguments: arguments, or what stands for them (`shaped`).
        double: whether numbers are in double precision unless they state their type.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, double: bool) -> None:
        check_not_forked()
        self._double = double
        with self._settings():
            self._traced = jax.jit(function).trace(*arguments)
            self._jaxpr = self._traced.jaxpr
            self.out: Any = self._traced.out_info
            """Shapes and types of the results."""
            self._tables = [constant for constant in self._jaxpr.consts if constant.nbytes > _TABLE]
            if self._tables:
                self._traced = jax.jit(self._of_tables).trace(self._tables, *arguments)

    def __call__(self, *arguments: Any) -> Any:
        """Compute the results.

        Raises:
            BackendError: if this process was forked from one that had used JAX.
        """
        check_not_forked()
        with self._settings():
            return self._executable(self._tables, *arguments) if self._tables else self._executable(*arguments)

    def inside(self, *arguments: Any) -> Any:
        """Compute the results, an array, as a part of another program that is being traced."""
        (result,) = jaxpr_as_fun(self._jaxpr)(*jax.tree.leaves(arguments))
        return result

    def _of_tables(self, tables: Sequence[Array], *arguments: Any) -> Any:
        """Compute the results with large constants as arguments, which the compiler need not read."""
        given = iter(tables)
        constants = [next(given) if constant.nbytes > _TABLE else constant for constant in self._jaxpr.consts]
        results = jaxpr_as_fun(ClosedJaxpr(self._jaxpr.jaxpr, constants))(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(self.out), results)

    @property
    def memory(self) -> int:
        """Bytes that a call takes for temporaries and results; 0 where the device does not report it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            used = self._executable.memory_analysis()
        return 0 if used is None else int(used.temp_size_in_bytes + used.output_size_in_bytes)

    @property
    def fingerprint(self) -> str | None:
        """A hash of what the program computes, its constants included; None if it calls functions of Python.

        It is the same in every process with the same version of JAX and the same kind of processor.
        """
        return None if self._calls_python else self._key

    @cached_property
    def _lowered(self) -> jax.stages.Lowered:
        with self._settings(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._traced.lower()

    @cached_property
    def _text(self) -> str:
        return self._lowered.as_text()

    @cached_property
    def _executable(self) -> jax.stages.Compiled:
        with self._settings(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if self._calls_python:
                return self._lowered.compile(COMPILER_OPTIONS)
            where = jax.config.jax_default_device or jax.devices()[0]  # type: ignore[attr-defined]
            key = f"{where!r} {self._key}"
            with _lock:
                if key not in _compiled:
                    with persistent():
                        _compiled[key] = self._lowered.compile(COMPILER_OPTIONS)
                    while len(_compiled) > _MOST:
                        _compiled.popitem(last=False)
                _compiled.move_to_end(key)
                return _compiled[key]

    @property
    def _calls_python(self) -> bool:
        """Whether it names functions of Python by number: another one may have the same number."""
        return "callback" in self._text

    @cached_property
    def _key(self) -> str:
        return self._digest(self._text)

    def _digest(self, text: str) -> str:
        digest = hashlib.sha256(f"{self._double} {text}".encode())
        for constant in _constants(self._jaxpr):  # JAX may come to pass constants as arguments
            digest.update(f"{constant.dtype} {constant.shape} ".encode() + constant.tobytes())
        return digest.hexdigest()

    def _settings(self) -> AbstractContextManager[None]:
        return jax_settings(double=self._double)


def shaped(shape: tuple[int, ...], dtype: DTypeLike) -> jax.ShapeDtypeStruct:
    """Return what stands for an array of a shape and type while a program is traced."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


def _constants(closed: ClosedJaxpr) -> Iterator[Array]:
    """Yield the arrays that a traced program and the programs inside it hold, in a fixed order."""
    yield from map(as_numpy, closed.consts)
    for equation in closed.jaxpr.eqns:
        yield from (as_numpy(value.val) for value in equation.invars if isinstance(value, Literal))
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if isinstance(inner, ClosedJaxpr):
                yield from _constants(inner)
            elif isinstance(inner, Jaxpr):
                yield from _constants(ClosedJaxpr(inner, ()))


def _is_program(value: Any) -> bool:
    return isinstance(value, (ClosedJaxpr, Jaxpr))


def as_numpy(array: Any) -> Array:
    """Return an array of JAX as one of NumPy, random keys as their words; anything else as NumPy takes it."""
    if not isinstance(array, jax.Array):
        return np.asarray(array)
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    with jax_settings(double=bool(jax.config.jax_enable_x64)):  # type: ignore[attr-defined]
        return np.asarray(jax.random.key_data(array) if is_key else array)
