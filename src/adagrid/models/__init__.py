"""Trial designs, one per file, written for one trial at a time. A new file is found, and nothing is edited here."""

import sys
import typing as _typing

from adagrid._registry import implementations as _implementations
from adagrid.models.arrays import ArrayModel
from adagrid.models.base import Model

__all__ = ["ArrayModel", "Model"]

for _design in _implementations(sys.modules[__name__], Model).values():  # type: ignore[type-abstract]
    globals()[_design.__name__] = _design
    __all__ += [_design.__name__]

if _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> _typing.Any:
        """Tell type checkers that there are designs which are found at run time."""
