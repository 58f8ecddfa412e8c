"""Adaptive validation and calibration: state in, decisions out. Knows no database and no backend."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
