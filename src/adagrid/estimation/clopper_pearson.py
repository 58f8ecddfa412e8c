"""Clopper-Pearson confidence limits of a rejection probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from adagrid._typing import ArrayLike, FloatArray
from adagrid.errors import InvalidInputError

# The inverse incomplete beta function is accurate to about 1e-14; limits move outwards by more than that.
_ROUNDING = 1e-12
# Largest relative difference between delta and the tail at a limit that rounding explains. Beyond it, the inverse has
# failed. (SciPy 1.17's inverse fails now and then where a shape is 999 or 1000, or with hundreds of millions of
# simulations.)
_ACCURACY = 1e-8
# Then a bisection searches the limit's logarithm from here to 0, with as many halvings as reach the last digit.
_SMALLEST, _HALVINGS = -745.0, 64

# An elementwise function of both shapes and a number.
_Beta = Callable[..., Any]


def clopper_pearson_upper(rejections: ArrayLike, n_sims: ArrayLike, delta: ArrayLike) -> FloatArray:
    """Return the upper confidence limit of a rejection probability.

    The confidence is 1 - delta. The limit is BetaInv(1 - delta; R + 1, N - R), and exactly 1 if R = N (Clopper and
    Pearson 1934, Biometrika 26:404).

    Args:
        rejections: R, whole numbers in [0, n_sims].
        n_sims: N, positive whole numbers.
        delta: one minus the confidence, in (0, 1).

    Raises:
        InvalidInputError: if an argument is out of range.
    """
    count, total, level = _checked(rejections, n_sims, delta)
    limit = _inverted(
        scipy.special.betainccinv, scipy.special.betaincc, count + 1, np.maximum(total - count, 1), level, rising=False
    )
    return np.where(count >= total, 1.0, np.minimum(limit * (1 + _ROUNDING), 1.0))


def clopper_pearson_lower(rejections: ArrayLike, n_sims: ArrayLike, delta: ArrayLike) -> FloatArray:
    """Return the lower confidence limit of a rejection probability.

    The confidence is 1 - delta. The limit is BetaInv(delta; R, N - R + 1), and exactly 0 if R = 0. The arguments are
    those of `clopper_pearson_upper`.
    """
    count, total, level = _checked(rejections, n_sims, delta)
    limit = _inverted(
        scipy.special.betaincinv, scipy.special.betainc, np.maximum(count, 1), total - count + 1, level, rising=True
    )
    return np.where(count <= 0, 0.0, limit * (1 - _ROUNDING))


def _inverted(
    inverse: _Beta, tail: _Beta, a: FloatArray, b: FloatArray, level: FloatArray, *, rising: bool
) -> FloatArray:
    """Invert a tail of the beta distribution; use bisection where SciPy fails."""
    limit = inverse(a, b, level)
    wrong = ~(np.abs(tail(a, b, limit) / level - 1) <= _ACCURACY)
    if wrong.any():
        limit = np.array(limit)
        limit[wrong] = _searched(tail, a[wrong], b[wrong], level[wrong], rising=rising)
    return limit


def _searched(tail: _Beta, a: FloatArray, b: FloatArray, level: FloatArray, *, rising: bool) -> FloatArray:
    """Return the outermost arguments whose tail is at most a level."""
    low, high = np.full(len(level), _SMALLEST), np.zeros(len(level))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        within = tail(a, b, np.exp(middle)) <= level
        low, high = np.where(within == rising, middle, low), np.where(within == rising, high, middle)
    return np.exp(low if rising else high)


def _checked(rejections: ArrayLike, n_sims: ArrayLike, delta: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    count, total, level = np.broadcast_arrays(
        np.asarray(rejections, float), np.asarray(n_sims, float), np.asarray(delta, float)
    )
    possible = (count >= 0) & (count <= total) & (total >= 1)
    if not possible.all():
        first = np.argwhere(~possible)[0]
        raise InvalidInputError(
            "0 <= rejections <= n_sims and n_sims >= 1 must hold for every count; got "
            f"rejections={count[tuple(first)]:g}, n_sims={total[tuple(first)]:g}."
        )
    if not ((level > 0) & (level < 1)).all():
        raise InvalidInputError(f"0 < delta < 1 must hold; got delta={delta}.")
    return count, total, level
