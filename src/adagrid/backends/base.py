"""The extension point for backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Backend(ABC):
    """Runs the zones of a job between two coordinations, and the packets of a step.

    Zones are independent of each other, and so are packets: both may run anywhere, at the same time and more
    than once (a second owner writes the same rows). `adagrid.testing.BackendContract` checks an implementation.

    Args:
        n_zones: zones that are worked on independently.
        coordinate_every: steps between coordinations.
    """

    n_zones: int
    coordinate_every: int

    @abstractmethod
    def map_zones(self, run: Callable[[Task], Result], zones: Iterable[Task]) -> list[Result]:
        """Run every zone and return the results in order, when all have stopped."""

    @abstractmethod
    def map_packets(self, run: Callable[[Task], Result], packets: Iterable[Task]) -> Iterator[Result]:
        """Simulate packets and yield the results in order, each as soon as it is there."""
