"""Estimates from simulations at one point, with their guarantees.

This package knows nothing of tiles.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
