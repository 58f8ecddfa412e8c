"""The two forms that are compared: the project's, as its jobs run it, and a naive one in idiomatic JAX.

Both turn a packet of tiles into the same answer, bounds included. Both make their draws (and the resamples of the
bootstrap) when they are first needed and keep them; `forget` drops what was kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._typing import Array, FloatArray, IntArray
from adagrid.bounds import inverse_tilt_bound, tilt_bound
from adagrid.engine import Simulator
from adagrid.estimation import calibration_rank, clopper_pearson_upper
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.algorithm import StepWork
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.validation import TileValidation
from adagrid.models import FisherExact
from adagrid.settings.goals import Calibration, Validation
from adagrid.settings.settings import Settings
from cases import ALPHA, N_BOOTSTRAP, PATIENTS, SEED, THRESHOLDS, Case

Response = Mapping[str, Array]

_DELTA = 0.01
_MAX_BYTES = 6e9


class Form(ABC):
    """A way to simulate a packet.

    Args:
        case: the packet.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model, self.tiles = case.model(), case.table("tiles")

    @abstractmethod
    def compile(self) -> None:
        """Compile everything that `run` needs."""

    @abstractmethod
    def forget(self) -> None:
        """Drop draws and resamples."""

    @abstractmethod
    def run(self) -> Response:
        """Simulate the packet."""


@final
class Ours(Form):
    """The project's form: an algorithm simulates a packet through the engine.

    Args:
        case: the packet.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.simulator = Simulator(
            self.model, SEED, self.tiles.n_nulls, at_most=case.n_sims, selects=case.job == "calibrate"
        )
        self._packet = StepWork.fresh(self.tiles)
        self._algorithm: TileValidation | TileCalibration
        if case.job == "validate":
            goal = Validation(threshold=THRESHOLDS[case.design], delta=_DELTA)
            self._algorithm = TileValidation(Settings(goal=goal, method=Classic()))
        else:
            method = Classic(n_bootstrap=N_BOOTSTRAP)
            self._algorithm = TileCalibration(Settings(goal=Calibration(alpha=ALPHA), method=method))

    @override
    def compile(self) -> None:
        one_call = self.tiles.take(slice(1)).with_n_sims(self.simulator.shape.chunk)
        self._algorithm.simulate(self.simulator, StepWork.fresh(one_call))
        self.forget()

    @override
    def forget(self) -> None:
        self.simulator._evaluator._cache.clear()
        if isinstance(self._algorithm, TileCalibration):
            self._algorithm._resamples.cache_clear()

    @override
    def run(self) -> Response:
        return self._algorithm.simulate(self.simulator, self._packet)


@final
class Naive(Form):
    """Materialise all statistics, then count them, or sort them all and index by all the resamples.

    Tiles go in batches, all of them in one unless that would need more than 6 GB.

    Args:
        case: the packet.
        fused: compile statistics and count together (validation only), which leaves it to the compiler whether
            to materialise.
    """

    def __init__(self, case: Case, *, fused: bool = False) -> None:
        super().__init__(case)
        self._fused = fused
        self._key = jax.random.key(SEED, impl="threefry2x32")
        self._draws: jax.Array | None = None
        self._resamples: jax.Array | None = None
        self.batch = case.n_tiles

    @override
    def compile(self) -> None:
        n_sims = self.case.n_sims
        numbers = jnp.arange(n_sims, dtype=jnp.uint32)
        self._draw = _compiled(lambda key: jax.vmap(lambda i: self._one_draw(key, i))(numbers), self._key)
        draws = self._draw.out_info
        while True:
            theta = jax.eval_shape(lambda: jnp.zeros((self.batch, self.tiles.dim), jnp.float32))
            self._statistics = _compiled(self._all_statistics, draws, theta)
            if _bytes(self._statistics) + _bytes(self._draw) <= _MAX_BYTES:
                break
            self.batch //= 2
        statistics = self._statistics.out_info
        if self.case.job == "validate":
            self._count = _compiled(_count, statistics, jnp.float32(0))
            self._statistics_and_count = _compiled(
                lambda draws, theta, limit: _count(self._all_statistics(draws, theta), limit),
                draws, theta, jnp.float32(0),
            )  # fmt: skip
        else:
            self._resample = _compiled(lambda key: _sorted_resamples(key, n_sims), self._key)
            self._sort = _compiled(lambda values: jnp.sort(values, axis=1), statistics)
            ranks = jax.eval_shape(lambda: jnp.zeros(self.batch, jnp.int32))
            self._pick = _compiled(_pick, statistics, self._resample.out_info, ranks)

    @override
    def forget(self) -> None:
        self._draws = self._resamples = None

    @override
    def run(self) -> Response:
        return self._validate() if self.case.job == "validate" else self._calibrate()

    def statistics(self, first: int) -> jax.Array:
        """Return all statistics of the batch of tiles that begins at `first`, turned so that small ones reject."""
        if self._draws is None:
            self._draws = self._draw(self._key)
        return self._statistics(self._draws, self._theta(first))

    def _validate(self) -> Response:
        limit = np.float32(self.model.direction * THRESHOLDS[self.case.design])
        counts = [self._rejections(first, limit) for first in range(0, self.case.n_tiles, self.batch)]
        rejections = np.concatenate(counts).astype(np.int64)
        return {"rejections": rejections, "tie_bound": validation_bound(self, rejections)}

    def _rejections(self, first: int, limit: np.float32) -> Array:
        if not self._fused:
            return np.asarray(self._count(self.statistics(first), limit))
        if self._draws is None:
            self._draws = self._draw(self._key)
        return np.asarray(self._statistics_and_count(self._draws, self._theta(first), limit))

    def _calibrate(self) -> Response:
        rank = calibration_ranks(self)
        if self._resamples is None:
            self._resamples = self._resample(self._key)
        picked = []
        for first in range(0, self.case.n_tiles, self.batch):
            ranks = rank[first : first + self.batch].astype(np.int32)
            picked.append(np.asarray(self._pick(self._sort(self.statistics(first)), self._resamples, ranks)))
        star, bias, tilewise = np.split(np.concatenate(picked), [1, 1 + N_BOOTSTRAP], axis=1)
        return {
            "rank": rank,
            "lambda_star": star[:, 0],
            "tilewise_mean": tilewise.mean(axis=1),
            "tilewise_min": tilewise.min(axis=1),
            **{f"bootstrap{b}": bias[:, b] for b in range(N_BOOTSTRAP)},
        }

    def _theta(self, first: int) -> Array:
        return self.tiles.theta[first : first + self.batch].astype(np.float32)

    def _one_draw(self, key: jax.Array, number: jax.Array) -> jax.Array:
        """Return the design's own draw, or one uniform per patient."""
        own = jax.random.fold_in(key, number)
        if self.case.design == "z-test":
            draw: jax.Array = self.model.draw(own)
            return draw
        return jax.random.uniform(own, (2, PATIENTS))

    def _all_statistics(self, draws: jax.Array, theta: jax.Array) -> jax.Array:
        if self.case.design == "z-test":
            return jax.vmap(lambda point: jax.vmap(lambda draw: -(draw + point[0]))(draws))(theta)
        assert isinstance(self.model, FisherExact)
        p_values = jnp.asarray(self.model.table(PATIENTS, PATIENTS), jnp.float32)

        def one(uniforms: jax.Array, point: jax.Array) -> jax.Array:
            responds = uniforms < jax.nn.sigmoid(point)[:, None]
            responders = jnp.sum(responds.astype(jnp.float32), axis=1).astype(jnp.int32)
            return p_values[responders[0], responders[1]]

        return jax.vmap(lambda point: jax.vmap(lambda draw: one(draw, point))(draws))(theta)


def validation_bound(form: Form, rejections: IntArray) -> FloatArray:
    """Return the bound on every tile, from the count at its centre."""
    point_bound = clopper_pearson_upper(rejections, form.case.n_sims, _DELTA)
    theta = form.tiles.theta
    return tilt_bound(form.model.family, theta, form.tiles.displacements(theta), point_bound)


def calibration_ranks(form: Form) -> IntArray:
    """Return the rank of lambda_star on every tile."""
    theta = form.tiles.theta
    alpha0 = inverse_tilt_bound(form.model.family, theta, form.tiles.displacements(theta), ALPHA)
    return calibration_rank(form.case.n_sims, alpha0)


def _count(statistics: jax.Array, limit: jax.Array) -> jax.Array:
    return jnp.sum(statistics < limit, axis=1)


def _sorted_resamples(key: jax.Array, n_sims: int) -> jax.Array:
    """Return the identity and all resamples of the simulations, sorted, shape (1 + 2 n_bootstrap, n_sims)."""
    resamples = jax.random.randint(key, (2 * N_BOOTSTRAP, n_sims), 0, n_sims)
    return jnp.concatenate([jnp.arange(n_sims)[None], jnp.sort(resamples, axis=1)])


def _pick(ordered: jax.Array, resamples: jax.Array, ranks: jax.Array) -> jax.Array:
    """Return the rank-th smallest statistic of every resample, -inf at rank 0."""
    picked = jax.vmap(lambda values, rank: values[resamples[:, jnp.maximum(rank, 1) - 1]])(ordered, ranks)
    return jnp.where(ranks[:, None] > 0, picked, -jnp.inf)


def _compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    return jax.jit(function).lower(*arguments).compile()


def _bytes(compiled: Any) -> float:
    memory = compiled.memory_analysis()
    return float(memory.temp_size_in_bytes + memory.output_size_in_bytes)
