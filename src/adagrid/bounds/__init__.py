"""Bounds that carry an error probability from a simulated point to a whole tile, for every family."""

from adagrid.bounds.interpolated import interpolated_bound, interpolated_levels
from adagrid.bounds.lower import interpolated_lower_bound, tilt_lower_bound
from adagrid.bounds.tilt import inverse_tilt_bound, tilt_bound

__all__ = [
    "interpolated_bound",
    "interpolated_levels",
    "interpolated_lower_bound",
    "inverse_tilt_bound",
    "tilt_bound",
    "tilt_lower_bound",
]
