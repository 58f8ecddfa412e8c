"""Columns for people, from those of the probability that is bounded."""

from __future__ import annotations

import pandas as pd

from adagrid._typing import FloatArray
from adagrid.settings.quantities import Quantity


def display_columns(quantity: Quantity, frame: pd.DataFrame) -> dict[str, FloatArray]:
    """Return columns that show a quantity, from those of the probability that is bounded."""
    lower, upper = quantity.interval(*(frame[name].to_numpy(float) for name in ("tie_lower", "tie_bound")))
    estimate = quantity.value(frame["tie_estimate"].to_numpy(float))
    return {f"{quantity.prefix}_{name}": each for name, each in
            (("estimate", estimate), ("lower", lower), ("upper", upper))}  # fmt: skip
