"""Selection policies: what becomes of a chosen tile. Pure functions of the state, one policy per file."""

from adagrid.algorithms.policies.base import (
    CalibrationPolicy,
    CalibrationState,
    ValidationPolicy,
    ValidationState,
)
from adagrid.algorithms.policies.classic_calibration import ClassicCalibration
from adagrid.algorithms.policies.classic_validation import ClassicValidation

__all__ = [
    "CalibrationPolicy",
    "CalibrationState",
    "ClassicCalibration",
    "ClassicValidation",
    "ValidationPolicy",
    "ValidationState",
]
