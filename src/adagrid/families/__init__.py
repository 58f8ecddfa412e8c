"""Exponential families: distributions of one trial's data, as the bounds need them.

`adagrid` finds a new file by itself and offers its class of the same name. Type checkers need a line in `__init__.pyi`.
"""

import lazy_loader as _lazy

from adagrid._registry import classes_by_file as _classes_by_file

CLASSES = _classes_by_file(__path__)
"""Which class each public module defines."""

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_record": ["family_record", "recorded_family"],
        **{module: [name] for module, name in CLASSES.items()},
    },
)
