"""Independent data of several families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families.family import Family, namespace


@final
@dataclass(frozen=True)
class Product(Family):
    """Independent data of several families.

    Each family has a block of the parameters. The blocks follow each other in the order of the families. The
    log-partition function is the sum of the log-partition functions of the families.

    Args:
        families: the families, at least one.

    Raises:
        InvalidInputError: if `families` is empty or holds anything but families.

    Examples:
        A binary endpoint of 20 patients, and a continuous endpoint of 20 other patients:

        >>> family = ada.Product((ada.Binomial(20), ada.Normal(n=20)))
        >>> family.coordinates
        'theta[0:1] logits of the response probabilities; theta[1:2] means of normal observations'
    """

    families: Sequence[Family]

    def __post_init__(self) -> None:
        given = self.families
        if not isinstance(given, (tuple, list)) or not given or not all(isinstance(one, Family) for one in given):
            raise InvalidInputError(
                f"Product needs a sequence of families, such as (Normal(), Binomial(20)); got families={given!r}."
            )
        object.__setattr__(self, "families", tuple(given))

    @property
    @override
    def dim(self) -> int:
        return sum(family.dim for family in self.families)

    @property
    @override
    def coordinates(self) -> str:
        return "; ".join(f"theta[{block.start}:{block.stop}] {family.coordinates}" for family, block in self._blocks())

    @property
    @override
    def scales(self) -> tuple[str, ...]:
        return tuple(scale for family in self.families for scale in family.scales)

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        first, *others = (family.log_partition(theta[..., block]) for family, block in self._blocks())
        return sum(others, first)

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        first, *others = (
            family.cumulant(theta[..., block], displacement[..., block]) for family, block in self._blocks()
        )
        return sum(others, first)

    @property
    @override
    def domain(self) -> tuple[FloatArray, FloatArray]:
        lower, upper = zip(*(family.domain for family in self.families), strict=True)
        return np.concatenate(lower), np.concatenate(upper)

    @override
    def contains(self, theta: FloatArray) -> BoolArray:
        return np.all([family.contains(theta[..., block]) for family, block in self._blocks()], axis=0)

    @override
    def reach(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return np.min(self._reaches(theta, displacement), axis=0)

    @override
    def border(self, theta: FloatArray, displacement: FloatArray) -> str:
        number = int(np.argmin(self._reaches(theta, displacement)))
        family, block = list(self._blocks())[number]
        rule = family.border(theta[block], displacement[block])
        return f"for theta[{block.start}:{block.stop}] of {family}, {rule}"

    @property
    @override
    def separable(self) -> bool:
        return all(family.separable for family in self.families)

    @override
    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        limits = [family.convex_up_to(theta[..., block], displacements[..., block]) for family, block in self._blocks()]
        return np.min(limits, axis=0)

    @override
    def draw(self, key: Any) -> tuple[Any, ...]:
        """Return independent draws, one for each family."""
        from adagrid.families import _random  # loads JAX

        keys = _random.split(key, len(self.families))
        return tuple(family.draw(own) for family, own in zip(self.families, keys, strict=True))

    @override
    def data(self, draw: Sequence[Any], theta: FloatArray) -> tuple[Any, ...]:
        """Return the data of every family."""
        return tuple(family.data(own, theta[block]) for own, (family, block) in zip(draw, self._blocks(), strict=True))

    @override
    def sufficient(self, data: Sequence[Any]) -> Array:
        """Concatenate the sufficient statistics of all families."""
        parts = [family.sufficient(own) for family, own in zip(self.families, data, strict=True)]
        whole: Array = namespace(parts[0]).concatenate(parts)
        return whole

    def _reaches(self, theta: FloatArray, displacement: FloatArray) -> list[FloatArray]:
        return [family.reach(theta[..., block], displacement[..., block]) for family, block in self._blocks()]

    def _blocks(self) -> Iterator[tuple[Family, slice]]:
        """Yield each family and the slice of its parameters."""
        start = 0
        for family in self.families:
            yield family, slice(start, start + family.dim)
            start += family.dim
