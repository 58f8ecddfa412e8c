"""The statistic of a design with several null hypotheses, whose error is the family-wise error rate."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from adagrid.errors import InvalidInputError


def largest_of_true(statistics: Sequence[jax.Array], null_truth: jax.Array) -> jax.Array:
    """Return the largest statistic of a true null hypothesis, -inf if none is true.

    Args:
        statistics: a scalar per null hypothesis.
        null_truth: which hypotheses are true, shape (hypotheses,).

    Raises:
        InvalidInputError: if the grid and the design have different numbers of hypotheses.
    """
    if len(statistics) != null_truth.shape[0]:
        raise InvalidInputError(
            f"The design has {len(statistics)} null hypotheses, and the grid must have the same, in the same order; "
            f"got {null_truth.shape[0]}. A design's own are in its null_hypos, if it has them."
        )
    largest = jnp.full_like(statistics[0], -np.inf)
    for i, statistic in enumerate(statistics):
        largest = jnp.maximum(largest, jnp.where(null_truth[i], statistic, -np.inf))
    return largest
