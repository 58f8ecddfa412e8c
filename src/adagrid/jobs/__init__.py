"""Runs a job to its end: the leader's loop, zones, steps, packets, and continuing after anything."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
