"""Scales in which users state parameters: response rates instead of logits, event rates instead of their logarithms.

Grids always have natural parameters. The limits and hypotheses of a user are converted once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy.special import logit

from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.grid.hypotheses import HalfSpace, NullHypothesis
from adagrid.grid.risk_difference import RiskDifference

Scale: TypeAlias = Literal["natural", "mean", "probability", "rate"]
"""natural: the family's own parameter. mean: of normal observations, the same. probability: of a response, whose logit
is natural. rate: of events, whose logarithm is natural."""

_TO_NATURAL: Mapping[Scale, Callable[[FloatArray], FloatArray]] = {
    "natural": lambda value: value,
    "mean": lambda value: value,
    "probability": logit,
    "rate": np.log,
}
_DOMAIN: Mapping[Scale, tuple[float, float]] = {"probability": (0.0, 1.0), "rate": (0.0, np.inf)}
_SAME = ("natural", "mean")


def checked_scales(scale: Scale | Sequence[Scale] | None, dim: int) -> tuple[Scale, ...] | None:
    """Return one scale per parameter; None if no scale was given.

    Raises:
        InvalidInputError: if the number of scales is wrong, or a scale does not exist.
    """
    if scale is None:
        return None
    scales = (scale,) * dim if isinstance(scale, str) else tuple(scale)
    if len(scales) != dim or any(each not in get_args(Scale) for each in scales):
        names = ", ".join(map(repr, get_args(Scale)))
        raise InvalidInputError(
            f"scale must be one of {names}, or one of these for each of {dim} parameters; got {scale!r}."
        )
    return scales


def to_natural(name: str, values: FloatArray, scales: tuple[Scale, ...] | None) -> FloatArray:
    """Return natural parameters.

    Args:
        name: name of the values, for messages.
        values: parameters in their scales, shape (..., dim).
        scales: one scale per parameter; None if all are natural.

    Raises:
        InvalidInputError: if a value does not exist in its scale.
    """
    natural = np.array(values, float)
    for i, scale in enumerate(scales or ()):
        low, high = _DOMAIN.get(scale, (-np.inf, np.inf))
        wrong = natural[..., i][~((natural[..., i] > low) & (natural[..., i] < high))]
        if wrong.size:
            raise InvalidInputError(
                f"A {scale} must be above {low:g}{f' and below {high:g}' if np.isfinite(high) else ''}, so that the "
                f"natural parameter is finite; got {name}[{i}]={wrong.flat[0]:g}."
            )
        natural[..., i] = _TO_NATURAL[scale](natural[..., i])
    return natural


def hypothesis_in_natural(hypothesis: NullHypothesis, scales: tuple[Scale, ...] | None) -> NullHypothesis:
    """Convert a hypothesis about parameters in scales to natural parameters.

    Args:
        hypothesis: a hypothesis read from text. Any class but `HalfSpace` is about natural parameters already.
        scales: one scale per parameter; None if all are natural.

    Raises:
        InvalidInputError: if the hypothesis cannot be converted.
    """
    if scales is None or not isinstance(hypothesis, HalfSpace):
        return hypothesis
    weights, offset = dict(enumerate(hypothesis.normal)), hypothesis.offset
    used = [i for i, weight in weights.items() if weight]
    if max(used) >= len(scales) or all(scales[i] in _SAME for i in used):
        return hypothesis
    if len(used) == 1:
        return _one(hypothesis, used[0], scales)
    positive, negative = ([i for i in used if weights[i] * sign > 0] for sign in (1, -1))
    if len(positive) == len(negative) == 1 and scales[positive[0]] == scales[negative[0]]:
        (above,), (below,) = positive, negative
        ratio = -weights[below] / weights[above]
        if scales[above] == "rate" and not offset:
            return _difference(above, below, float(np.log(ratio)))
        if scales[above] == "probability" and ratio == 1:
            margin = offset / weights[above]
            return RiskDifference(above, below, margin) if margin else _difference(above, below, 0.0)
    raise InvalidInputError(
        f"{hypothesis.describe()!r} cannot be stated in scale={scales!r}. In other scales than the natural one a "
        "hypothesis compares one parameter with a number, two probabilities by their difference (x1 <= x0 + 0.1), or "
        "two rates by their ratio (x1 <= 1.5 * x0). Give an object about natural parameters, such as a class of your "
        "own."
    )


def _one(hypothesis: HalfSpace, parameter: int, scales: tuple[Scale, ...]) -> HalfSpace:
    """Return the hypothesis that compares one parameter with a number."""
    weight = hypothesis.normal[parameter]
    value = np.zeros(len(scales))
    value[parameter] = hypothesis.offset / weight
    only = tuple(scale if i == parameter else "natural" for i, scale in enumerate(scales))
    natural = to_natural(f"the number in {hypothesis.describe()!r}, theta", value, only)[parameter]
    sign = float(np.sign(weight))
    return HalfSpace([0.0] * parameter + [sign], sign * float(natural))


def _difference(above: int, below: int, offset: float) -> HalfSpace:
    """Return theta[above] - theta[below] <= offset."""
    normal = np.zeros(max(above, below) + 1)
    normal[above], normal[below] = 1.0, -1.0
    return HalfSpace(normal.tolist(), offset)
