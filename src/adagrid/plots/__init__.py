"""Pictures of jobs. Every plot is two functions: one that collects the figures, one that draws them."""

from adagrid.plots.error_curve import ErrorCurve, collect_error_curve, draw_error_curve
from adagrid.plots.error_surface import ErrorSurface, collect_error_surface, draw_error_surface

__all__ = [
    "ErrorCurve",
    "ErrorSurface",
    "collect_error_curve",
    "collect_error_surface",
    "draw_error_curve",
    "draw_error_surface",
]
