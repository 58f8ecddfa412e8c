"""Regions of parameters: tiles, null hypotheses, splitting, identifiers. Knows no simulation and no database."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
