"""The extension point for backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TypeVar

from adagrid.errors import InvalidInputError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Backend(ABC):
    """Runs the zones of a job between two coordinations, and the packets of a step.

    Zones are independent of each other, and so are packets: both may run anywhere, at the same time and more
    than once (a second owner writes the same rows). `adagrid.testing.BackendContract` checks an implementation.

    What runs zones holds the job's open database and stays in this process; what simulates packets can be pickled, and
    so can packets and results. A job runs within `with backend:`, which may be nested: a backend that starts
    anything stops it at the end of the outermost one.

    Args:
        n_zones: zones that are worked on independently.
        coordinate_every: steps between coordinations.

    Raises:
        InvalidInputError: if a number is not a positive whole number.
    """

    def __init__(self, n_zones: int = 1, coordinate_every: int = 5) -> None:
        check_positive(n_zones=n_zones, coordinate_every=coordinate_every)
        self.n_zones = n_zones
        self.coordinate_every = coordinate_every

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:  # noqa: B027 - nothing to stop, unless a subclass starts something
        pass

    @abstractmethod
    def map_zones(self, run: Callable[[Task], Result], zones: Iterable[Task]) -> list[Result]:
        """Run every zone and return the results in order, when all have stopped."""

    @abstractmethod
    def map_packets(self, run: Callable[[Task], Result], packets: Iterable[Task]) -> Iterator[Result]:
        """Simulate packets and yield the results in order, each as soon as it is there."""


def check_positive(**numbers: int) -> None:
    """Raise InvalidInputError unless all are positive whole numbers."""
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise InvalidInputError(f"{name} must be a positive whole number; got {value!r}.")
