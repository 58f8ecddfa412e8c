"""Estimates from simulations at one point, with their guarantees. Knows nothing of tiles."""

from adagrid.estimation.bootstrap import first_order_statistics
from adagrid.estimation.clopper_pearson import clopper_pearson_lower, clopper_pearson_upper
from adagrid.estimation.order_statistic import below_rounding, calibration_rank
from adagrid.estimation.rounding import number_down, number_up, percent_down, percent_up

__all__ = [
    "below_rounding",
    "calibration_rank",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "first_order_statistics",
    "number_down",
    "number_up",
    "percent_down",
    "percent_up",
]
