"""Pictures of jobs. Every plot is two functions: one that collects the figures, one that draws them."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
