"""Adaptive validation and calibration: state in, decisions out. Knows no database and no backend."""

from adagrid.algorithms.base import Algorithm, Choice, Convergence, Packet
from adagrid.algorithms.calibrate import AdaCalibrate
from adagrid.algorithms.frontier import Frontier
from adagrid.algorithms.settings import CalibrateSettings, Settings, ValidateSettings
from adagrid.algorithms.validate import AdaValidate

__all__ = [
    "AdaCalibrate",
    "AdaValidate",
    "Algorithm",
    "CalibrateSettings",
    "Choice",
    "Convergence",
    "Frontier",
    "Packet",
    "Settings",
    "ValidateSettings",
]
