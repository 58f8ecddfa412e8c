from .interpolated import interpolated_bound as interpolated_bound
from .interpolated import interpolated_levels as interpolated_levels
from .lower import interpolated_lower_bound as interpolated_lower_bound
from .lower import tilt_lower_bound as tilt_lower_bound
from .reached import interpolated_reach as interpolated_reach
from .tilt import inverse_tilt_bound as inverse_tilt_bound
from .tilt import tilt_bound as tilt_bound
