"""Adaptive validation and calibration: state in, decisions out. Knows no database and no backend."""

from adagrid.algorithms.base import Algorithm, Choice, Convergence, Packet
from adagrid.algorithms.calibrate import AdaCalibrate
from adagrid.algorithms.frontier import Frontier, Layout
from adagrid.algorithms.interpolated.base import StagedAlgorithm
from adagrid.algorithms.interpolated.calibrate import InterpolatedCalibration
from adagrid.algorithms.interpolated.validate import InterpolatedValidation
from adagrid.algorithms.settings import (
    CalibrateSettings,
    InterpolatedCalibrateSettings,
    InterpolatedValidateSettings,
    Settings,
    ValidateSettings,
)
from adagrid.algorithms.validate import AdaValidate

__all__ = [
    "AdaCalibrate",
    "AdaValidate",
    "Algorithm",
    "CalibrateSettings",
    "Choice",
    "Convergence",
    "Frontier",
    "InterpolatedCalibrateSettings",
    "InterpolatedCalibration",
    "InterpolatedValidateSettings",
    "InterpolatedValidation",
    "Layout",
    "Packet",
    "Settings",
    "StagedAlgorithm",
    "ValidateSettings",
]
