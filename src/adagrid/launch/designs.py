"""What is checked of a design before anything is done with it."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any, get_args

import numpy as np

from adagrid.errors import InvalidInputError
from adagrid.families import Family
from adagrid.models import Design, Model
from adagrid.models.model import RejectWhen
from adagrid.settings.quantities import Mean

# Share of a statistic's range by which rescaling may widen its bounds.
_INACCURATE = 1e-5


def checked_design(model: Model | type[Model]) -> Model:
    """Return a design, built if it is a class.

    Raises:
        InvalidInputError: if it is no design, or lacks or misstates what every design states.
    """
    if isinstance(model, type) and issubclass(model, Model):
        model = model()
    elif not isinstance(model, Model):
        raise InvalidInputError(f"model must be an adagrid.Model or a subclass of it; got {model!r}.")
    name, problems = type(model).__name__, []
    family = getattr(model, "family", None)
    if not isinstance(family, Family):
        problems.append(f"{name}.family must be a Family, such as Normal() or Binomial(n=20); got {family!r}.")
    allowed_values = {"reject_when": get_args(RejectWhen), "precision": ("single", "double")}
    for attribute, allowed in allowed_values.items():
        value = getattr(model, attribute, None)
        if value not in allowed:
            problems.append(f"{name}.{attribute} must be one of {allowed}; got {value!r}.")
    problems += _wrong_form(model)
    if problems:
        raise InvalidInputError(problems)
    return model


def _wrong_form(design: Model) -> list[str]:
    """Return a sentence if the statistic of a design does not take the arguments that its class passes."""
    takes = ("data", "null_truth") if isinstance(design, Design) else ("draw", "theta", "null_truth")
    try:
        signature = inspect.signature(design.statistic)
    except ValueError:  # functions that do not tell, such as those of extension modules
        return []
    with suppress(TypeError):
        signature.bind(*takes)
        return []
    return [
        f"{type(design).__name__}.statistic must take ({', '.join(takes)}), but takes {signature}. The statistic of an "
        "adagrid.Design takes (data, null_truth), that of any other adagrid.Model (draw, theta, null_truth)."
    ]


def decision_threshold(design: Model, given: Any) -> Any:
    """Return the threshold of a design whose statistic is 0 or 1; refuse one that no decision can cross."""
    if given is None:
        return design.decision_threshold
    if isinstance(given, (int, float)) and 0 <= given < 1:
        return given
    raise InvalidInputError(
        f"{type(design).__name__} says itself which outcomes reject, so it needs no threshold=; one that is given must "
        f"be in [0, 1), but is {given!r}. Leave it out."
    )


def checked_range(design: Model) -> list[float]:
    """Return the least and the largest value of a design's statistic, or refuse a design that states none.

    Raises:
        InvalidInputError: if they are not two finite numbers, the lower one first, or too far from 0.
    """
    given, rule = design.value_range, "two finite numbers, the lower one first"
    try:
        lowest, highest = (float(end) for end in given or ())
        sound = -np.inf < lowest < highest < np.inf
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise InvalidInputError(
            f"quantity='mean' bounds the mean of {type(design).__name__}'s statistic, so its value_range must be "
            f"{rule}; got {given!r}."
        )
    inaccuracy = Mean(lowest, highest).inaccuracy
    if inaccuracy > _INACCURATE:
        raise InvalidInputError(
            f"The value_range of {type(design).__name__} is too narrow for numbers so far from 0: rescaling would cost "
            f"{inaccuracy:.1g} of it; got {given!r}. Subtract a constant from the statistic."
        )
    return [lowest, highest]
