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
    """A place where the tasks of a job run.

    A task is a packet of a step, or a whole zone until the next coordination.

    Tasks are independent: they may run anywhere, at the same time, and more than once, because a repeated task writes
    the same rows. Tasks, their results and the function that runs them can be pickled. A job runs within
    `with backend:`, which may be nested; a backend stops everything that it has started at the end of the outermost
    block. `adagrid.testing.BackendContract` checks an implementation.

    A backend whose tasks run in other processes sets `has_workers`, and runs tasks within `working(Worker(...))`.

    Args:
        n_zones: number of zones that run independently.
        coordinate_every: steps between coordinations.

    Raises:
        InvalidInputError: if a number is not a positive whole number.

    Examples:
        >>> class OneByOne(ada.Backend):
        ...     def map(self, run, tasks):
        ...         for task in tasks:
        ...             yield run(task)
        >>> list(OneByOne().map(abs, [-1, 2]))
        [1, 2]
    """

    has_workers: ClassVar[bool] = False
    """Whether tasks run in other processes than the leader."""

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
        """Return a context that stops the backend, unless `with backend:` is active.

        An interrupted run leaves its `map` suspended. The suspended iterator must not keep anything running.
        """
        return nullcontext() if self._depth else self

    def check(self) -> None:  # noqa: B027 - most backends work in any process
        """Raise BackendError if this process cannot use the backend.

        A run calls this method before it opens its database.
        """

    def _stop(self) -> None:
        """Stop everything that `_open` holds; subclasses also drop their references."""
        self._open.close()

    @abstractmethod
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run tasks and yield results in order, each as soon as it is available."""


def check_positive(**numbers: int) -> None:
    """Raise InvalidInputError unless all are positive whole numbers."""
    problems = not_positive(**numbers)
    if problems:
        raise InvalidInputError(problems)


def not_positive(**numbers: int) -> list[str]:
    """Return problems of numbers that must be positive and whole."""
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
