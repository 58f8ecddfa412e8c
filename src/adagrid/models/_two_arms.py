"""Sizes of a control and a treatment arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adagrid._checks import whole_numbers
from adagrid.errors import InvalidInputError


def two_arms(design: str, n: int | Sequence[int]) -> tuple[int, int]:
    """Return the sizes of (control, treatment).

    Args:
        design: name of the design, for messages.
        n: a number for both arms, or one per arm.

    Raises:
        InvalidInputError: if n is not one or two positive whole numbers.
    """
    sizes = whole_numbers("n", n).tolist()
    if len(sizes) != (2 if np.ndim(n) else 1):
        raise InvalidInputError(
            f"{design} compares two arms: n must be a number for both or (control, treatment); got n={n}."
        )
    return sizes[0], sizes[-1]
