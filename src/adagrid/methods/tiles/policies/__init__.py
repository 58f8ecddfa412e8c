"""Selection policies: what becomes of a chosen tile. Pure functions of the state, one policy per file."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
