from .base import CalibrationPolicy as CalibrationPolicy
from .base import CalibrationState as CalibrationState
from .base import ValidationPolicy as ValidationPolicy
from .base import ValidationState as ValidationState
from .classic_calibration import ClassicCalibration as ClassicCalibration
from .classic_validation import ClassicValidation as ClassicValidation
