"""Simulates points: parameters, null truth, number of simulations. Knows nothing of tiles."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
