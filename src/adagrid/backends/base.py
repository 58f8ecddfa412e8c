"""The extension point for backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from operator import index
from typing import Any, ClassVar, Self, TypeVar, final

from adagrid.errors import InvalidInputError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Backend(ABC):
    """Runs what a job is made of: the packets of a step, or whole zones between two coordinations.

    Tasks are independent of each other: they may run anywhere, at the same time and more than once (a second owner
    writes the same rows). What runs them can be pickled, and so can they and their results.
    `adagrid.testing.BackendContract` checks an implementation. A job runs within `with backend:`, which may be nested:
    a backend that starts anything stops it at the end of the outermost one.

    A backend whose tasks run in other processes sets `has_workers`, and runs them within `working(Worker(...))`.

    Args:
        n_zones: zones that are worked on independently.
        coordinate_every: steps between coordinations.

    Raises:
        InvalidInputError: if a number is not a positive whole number.
    """

    has_workers: ClassVar[bool] = False
    """Whether tasks run in other processes than the one that leads."""

    def __init__(self, n_zones: int = 1, coordinate_every: int = 5) -> None:
        check_positive(n_zones=n_zones, coordinate_every=coordinate_every)
        self.n_zones = index(n_zones)
        self.coordinate_every = index(coordinate_every)
        self._depth = 0
        self._open = ExitStack()

    @final
    def __enter__(self) -> Self:
        self._depth += 1
        return self

    @final
    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._stop()

    @final
    def _entered(self) -> AbstractContextManager[object]:
        """Keep what is started for the `with backend:` around, or for this block if there is none.

        A run that is interrupted leaves what it maps suspended: that must not keep open what the run has started.
        """
        return nullcontext() if self._depth else self

    def check(self) -> None:  # noqa: B027 - most can be used anywhere
        """Raise BackendError if this process cannot use it. A run calls this before it opens its database."""

    def _stop(self) -> None:
        """Stop what was started, and is held by `_open`; a subclass also forgets it."""
        self._open.close()

    @abstractmethod
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run tasks and yield the results in order, each as soon as it is there."""


def check_positive(**numbers: int) -> None:
    """Raise InvalidInputError unless all are positive whole numbers."""
    problems = not_positive(**numbers)
    if problems:
        raise InvalidInputError(problems)


def not_positive(**numbers: int) -> list[str]:
    """Return what is wrong with numbers that must be positive and whole, of Python or NumPy."""
    return [
        f"{name} must be a positive whole number; got {value!r}."
        for name, value in numbers.items()
        if not _is_positive(value)
    ]


def _is_positive(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and index(value) > 0
    except TypeError:
        return False
