"""Bounds that carry an error probability from a simulated point to a whole tile, for every family."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
