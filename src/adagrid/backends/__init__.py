"""Backends, which run the work of a job.

This package knows no statistics and no SQL.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
