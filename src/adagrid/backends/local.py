"""Everything in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import final

from typing_extensions import override

from adagrid.backends.base import Backend, Result, Task


@final
class LocalBackend(Backend):
    """Runs zones and packets one after the other in this process; compiled code uses all cores.

    Args:
        n_zones: zones that are worked on independently.
        coordinate_every: steps between coordinations.

    Raises:
        InvalidInputError: if a number is not a positive whole number.
    """

    @override
    def map_zones(self, run: Callable[[Task], Result], zones: Iterable[Task]) -> list[Result]:
        return [run(zone) for zone in zones]

    @override
    def map_packets(self, run: Callable[[Task], Result], packets: Iterable[Task]) -> Iterator[Result]:
        return map(run, packets)
