from .error_curve import ErrorCurve as ErrorCurve
from .error_curve import collect_error_curve as collect_error_curve
from .error_curve import draw_error_curve as draw_error_curve
from .error_surface import ErrorSurface as ErrorSurface
from .error_surface import collect_error_surface as collect_error_surface
from .error_surface import draw_error_surface as draw_error_surface
