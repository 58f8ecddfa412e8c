"""The backend that runs everything in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import final

from typing_extensions import override

from adagrid.backends.backend import Backend, Result, Task
from adagrid.backends.worker import check_wanted


@final
class LocalBackend(Backend):
    """The backend that runs jobs in this process.

    Packets run one after the other. Compiled code uses all cores.

    Args:
        n_zones: number of zones that run independently.
        coordinate_every: steps between coordinations.

    Raises:
        InvalidInputError: if a number is not a positive whole number.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> backend = ada.LocalBackend(n_zones=2)
        >>> len(ada.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=1024, backend=backend).results())
        2
    """

    @override
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        for task in tasks:
            check_wanted()  # workers run their zones with this backend
            yield run(task)
