"""Trial designs, one per file, written for one trial at a time.

A new file is found automatically: `adagrid` exports the class of the same name. Type checkers need its line in
`__init__.pyi`.
"""

import lazy_loader as _lazy

from adagrid._registry import classes_by_file as _classes_by_file

CLASSES = _classes_by_file(__path__, arrays="ArrayModel")
"""Which class each public module defines."""

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, submod_attrs={module: [name] for module, name in CLASSES.items()}
)
