"""Exponential families: what the bounds need to know about the distribution of one trial's data.

A new file is found: `adagrid` offers the class of the same name. Its line in `__init__.pyi` tells type checkers.
"""

import lazy_loader as _lazy

from adagrid._registry import classes_by_file as _classes_by_file

CLASSES = _classes_by_file(__path__, base="Family")
"""Which class each public module defines."""

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_record": ["family_record", "recorded_family"],
        **{module: [name] for module, name in CLASSES.items()},
    },
)
