"""What is certified of a quantity, in words. Printed bounds are rounded outwards."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adagrid.estimation import number_down, number_up, percent_down, percent_up

if TYPE_CHECKING:
    from adagrid.records import JobRecord


def bounded_as(record: JobRecord, bound: float, *, several: bool = False) -> str:
    """Return a sentence about what a validation bounds.

    Args:
        record: the job's.
        bound: the bound.
        several: whether there are several hypotheses.
    """
    if record.settings.validation.quantity == "power":
        return f"{'power to reject any of those that hold' if several else 'power'} >= {percent_down(bound)}"
    if record.settings.validation.quantity == "mean":
        return f"mean of the statistic <= {number_up(bound)}"
    return f"{error_name(several=several)} <= {percent_up(bound)}"


def error_name(*, several: bool) -> str:
    """Return what the error of one or several hypotheses is called."""
    return "family-wise Type I Error" if several else "Type I Error"


def controlled_as(record: JobRecord, *, several: bool, certified: bool) -> str:
    """Return a sentence about what the threshold of a calibration keeps at or below alpha.

    Args:
        record: the job's.
        several: whether there are several hypotheses.
        certified: whether a pass that chose nothing gave the threshold.
    """
    error, confidence = error_name(several=several), record.settings.calibration.confidence
    if record.computed:
        return f"for certain, the {error} with this threshold is at most this everywhere in the region"
    if confidence is None:
        return f"the expected {error} is at most this"
    percent = f"{(Decimal(repr(confidence)) * 100).normalize():f}%"
    promise = f"the {error} with this threshold is at most this everywhere in the region"
    return f"with confidence {percent} over the simulations{'' if certified else ', once certified'}, {promise}"


def columns_of(record: JobRecord) -> tuple[str, str, str]:
    """Return how the three texts of `estimated_as` are called."""
    if record.settings.validation.quantity == "error":
        return "rejected", "limit", "bound"
    return record.settings.validation.quantity, "at least", "at most"


def estimated_as(record: JobRecord, row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Return the estimate of a tile or cell and its bounds; of an error the upper limit at the point and the bound."""
    kind = record.settings.validation.quantity
    if kind == "error":
        return f"{row['tie_estimate']:.3%}", percent_up(row["tie_point_bound"]), percent_up(row["tie_bound"])
    estimate, lower, upper = (row[f"{kind}_{name}"] for name in ("estimate", "lower", "upper"))
    if kind == "power":
        return f"{estimate:.3%}", percent_down(lower), percent_up(upper)
    return f"{estimate:.6g}", number_down(lower), number_up(upper)
