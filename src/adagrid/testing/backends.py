"""The contract of backends."""

from __future__ import annotations

import pytest

from adagrid.backends import Backend, current_worker


class BackendContract:
    """Laws that every backend keeps. Subclass and give the fixture `backend`."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return a backend."""
        raise NotImplementedError

    def test_results_come_back_in_order(self, backend: Backend) -> None:
        """One per task, none if there are none."""
        assert list(backend.map(lambda task: task + 1, [3, 1, 2])) == [4, 2, 3]
        assert list(backend.map(lambda task: task, [])) == []

    def test_errors_reach_the_caller(self, backend: Backend) -> None:
        """Results before the error have been delivered."""

        def fails(task: int) -> int:
            if task == 2:
                raise ArithmeticError("task 2")
            return task

        seen: list[int] = []
        with pytest.raises(ArithmeticError, match="task 2"):
            seen.extend(iter(backend.map(fails, [0, 1, 2])))
        assert seen == [0, 1]

    def test_workers_are_numbered(self, backend: Backend) -> None:
        """Every number that workers ask for is given once, in sequence."""
        if not backend.has_workers:
            assert list(backend.map(lambda _: current_worker(), [0])) == [None]
            return
        with backend:
            numbers = list(backend.map(_number, range(12)))
        assert sorted(numbers) == list(range(7, 19))

    def test_numbers(self, backend: Backend) -> None:
        """At least one zone, and a coordination after at least one step."""
        assert backend.n_zones >= 1
        assert backend.coordinate_every >= 1


def _number(_: int) -> int:
    worker = current_worker()
    assert worker is not None
    assert not worker.is_cancelled()
    return worker.number("a run", 7)
