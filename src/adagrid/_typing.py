"""Names for the array types that signatures use. Shapes are given in docstrings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
IdArray: TypeAlias = NDArray[np.uint64]
Array: TypeAlias = NDArray[Any]

__all__ = ["Array", "ArrayLike", "BoolArray", "FloatArray", "IdArray", "IntArray"]
