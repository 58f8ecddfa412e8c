"""Runs designs that are written for one trial in JAX.

Every call has the same shape (a chunk of simulations by a block of points, the last block padded with its own first
point), so nothing is compiled twice and results do not depend on how points are packed together.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from typing import Any, final

import jax
import numpy as np
from typing_extensions import override

from adagrid._programs import as_numpy
from adagrid.engine.evaluator import Call, Evaluator
from adagrid.engine.rounding import Rounding
from adagrid.engine.ties import RejectionLimit
from adagrid.engine.traced import TracedDesign, key_words
from adagrid.errors import ModelError
from adagrid.models import Model

_DRAW_CACHE_BYTES = 256 << 20


@final
class Compiled(Evaluator):
    """Runs a design in JAX.

    Args:
        model: the design.
        seed: simulation i of every point uses the i-th key folded into it.
        n_nulls: null hypotheses.
        chunk: simulations per call.
        block: points per call; planned from the design's memory use if None.
        selects: whether the block is planned for returning statistics, or for counting rejections.
        rounding: rounds the statistic at random, for its mean; None where the statistic itself is compared.

    Raises:
        ModelError: if the design raises or returns anything but a real scalar.
    """

    def __init__(
        self,
        model: Model,
        seed: int,
        n_nulls: int,
        chunk: int,
        block: int | None,
        *,
        selects: bool,
        rounding: Rounding | None = None,
    ) -> None:
        self._design = TracedDesign(model, n_nulls, chunk, block, selects=selects, rounding=rounding)
        self.shape, self.dtype = self._design.shape, self._design.dtype
        self._seed(seed)
        self._check_draws(model)

    @property
    @override
    def fingerprint(self) -> str | None:
        found = self._design.fingerprint
        return found and f"jax {jax.__version__}: {found}"

    @override
    def seeded(self, seed: int) -> Compiled:
        other = copy(self)
        other._seed(seed)
        return other

    @override
    def count(self, call: Call, rejection_limit: RejectionLimit) -> jax.Array:
        draws = self._draws(call.chunk)
        return self._design.count(
            draws, call.theta, call.null_truth, rejection_limit.limit, rejection_limit.exception, call.first, call.last
        )

    @override
    def statistics(self, call: Call) -> jax.Array:
        return self._design.statistics(self._draws(call.chunk), call.theta, call.null_truth)

    def _seed(self, seed: int) -> None:
        self._key = key_words(seed)
        self._cache: OrderedDict[int, Any] = OrderedDict()

    def _draws(self, number: int) -> Any:
        """Return the draws of a chunk of simulations, from the cache if they are still there."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        draws, size = self._design.draw(self._key, np.uint32(number * self.shape.chunk)), self._design.draw_bytes
        while self._cache and (len(self._cache) + 1) * size > _DRAW_CACHE_BYTES:
            self._cache.popitem(last=False)
        if size <= _DRAW_CACHE_BYTES:
            self._cache[number] = draws
        return draws

    def _check_draws(self, model: Model) -> None:
        draws = [as_numpy(leaf) for leaf in jax.tree.leaves(self._design.trials(self._draws(0)))]
        if all((leaf == leaf[:1]).all() for leaf in draws):
            raise ModelError(
                f"{type(model).__name__}.draw must be random, but returned the same for every key. Draw with "
                "jax.random from the key that is given: numpy.random would run once, when the design is compiled."
            )
