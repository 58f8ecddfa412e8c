from .classic_calibration import ClassicCalibration as ClassicCalibration
from .classic_validation import ClassicValidation as ClassicValidation
from .policy import CalibrationPolicy as CalibrationPolicy
from .policy import CalibrationState as CalibrationState
from .policy import ValidationPolicy as ValidationPolicy
from .policy import ValidationState as ValidationState
