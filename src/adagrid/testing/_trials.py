"""Trials whose data a family draws, and what its log-partition says of their sufficient statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, final

import jax
import numpy as np

from adagrid._programs import Program, shaped
from adagrid._typing import Array, FloatArray
from adagrid.families import Family

TRIALS = 4096
"""How many trials a program simulates."""
# The most standard errors by which a mean or a covariance may be off.
_LIMIT = 6.0
# Rounding errors of sums in single precision, relative to the mean and its square.
_ROUNDING = 1e-5


@final
class Trials:
    """Simulates sufficient statistics, each trial with a random key and parameters of its own. Compiled once.

    Args:
        draw: of a key, the randomness of one trial.
        data: of a draw and parameters, the data of the trial.
        sufficient: of data, T.
        dim: number of parameters.
        double: whether in double precision.
    """

    def __init__(
        self,
        draw: Callable[[Any], Any],
        data: Callable[[Any, Any], Any],
        sufficient: Callable[[Any], Any],
        dim: int,
        *,
        double: bool,
    ) -> None:
        self._real = np.dtype(np.float64 if double else np.float32)

        def one(seed: jax.Array, trial: jax.Array, theta: jax.Array) -> Any:
            key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), trial)
            return sufficient(data(draw(key), theta))

        whole = shaped((TRIALS,), np.uint32)
        self.programs = [
            Program(jax.vmap(one), whole, whole, shaped((TRIALS, dim), self._real), double=double) for _ in range(2)
        ]
        """The program, traced twice."""

    def __call__(self, seed: Array, trial: Array, theta: FloatArray) -> FloatArray:
        """Return T of trials, shape (trials, dim), for seeds, trials and parameters of shape (trials, dim)."""
        count, answers = len(theta), []
        for start in range(0, count, TRIALS):
            some = np.arange(start, start + TRIALS).clip(max=count - 1)
            arguments = seed[some].astype(np.uint32), trial[some].astype(np.uint32), theta[some].astype(self._real)
            answers.append(np.asarray(self.programs[0](*arguments), float)[: count - start])
        return np.concatenate(answers)


def derivatives(family: Family, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return derivatives of A at points: the mean of T, its covariance, and the fourth ones twice in each of two axes.

    Returns:
        Shapes (points, dim), (points, dim, dim) and (points, dim, dim).
    """
    axes = np.eye(family.dim)
    traced: Any = family

    def along(ways: tuple[Any, ...], point: jax.Array) -> jax.Array:
        if not ways:
            return traced.log_partition(point)
        value: jax.Array = jax.jvp(partial(along, ways[1:]), (point,), (ways[0],))[1]
        return value

    def every(point: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        first = jax.vmap(lambda i: along((i,), point))(axes)
        second, fourth = (
            jax.vmap(lambda i, w=ways: jax.vmap(lambda j: along(w(i, j), point))(axes))(axes)
            for ways in (lambda i, j: (i, j), lambda i, j: (i, i, j, j))
        )
        return first, second, fourth

    return tuple(map(np.asarray, Program(jax.vmap(every), theta, double=True)(theta)))  # type: ignore[return-value]


def assert_law(trials: Trials, family: Family, theta: FloatArray) -> None:
    """Check that T has the mean and the covariance that follow from A at points, shape (points, dim)."""
    first, index = np.ones(TRIALS), np.arange(TRIALS)
    for point, *moments in zip(theta, *derivatives(family, theta), strict=True):
        assert_moments(trials(first, index, np.broadcast_to(point, (TRIALS, family.dim))), *moments)


def assert_moments(statistics: FloatArray, mean: FloatArray, covariance: FloatArray, fourth: FloatArray) -> None:
    """Check the mean and the covariance of sufficient statistics within standard errors that follow from A.

    Args:
        statistics: shape (trials, dim).
        mean: gradient of A, shape (dim,).
        covariance: Hessian of A, shape (dim, dim).
        fourth: fourth derivatives, twice in each of two axes, shape (dim, dim).
    """
    count, variance = len(statistics), np.diag(covariance)
    apart = statistics - mean
    slack = _ROUNDING * (np.abs(mean) + np.sqrt(variance))
    error = np.sqrt(variance / count)
    assert (np.abs(apart.mean(axis=0)) <= _LIMIT * error + slack).all()
    found = apart.T @ apart / count
    spread = fourth + np.outer(variance, variance) + covariance**2
    slack = _ROUNDING * np.outer(np.sqrt(variance), np.sqrt(variance)) + np.outer(slack, slack)
    assert (np.abs(found - covariance) <= _LIMIT * np.sqrt(spread / count) + slack).all()


def same_programs(trials: Trials) -> bool:
    """Return whether tracing twice gives the same program: functions that hold a state do not."""
    first, second = (program.fingerprint for program in trials.programs)
    return first == second
