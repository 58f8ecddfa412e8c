"""Pictures of jobs. Every plot is two functions: one that collects the figures, one that draws them."""

from adagrid.plots.error_curve import ErrorCurve, collect_error_curve, draw_error_curve

__all__ = ["ErrorCurve", "collect_error_curve", "draw_error_curve"]
