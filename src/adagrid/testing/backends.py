"""The contract of backends."""

from __future__ import annotations

import pytest

from adagrid.backends import Backend


class BackendContract:
    """Laws that every backend keeps. Subclass and give the fixture `backend`."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return a backend."""
        raise NotImplementedError

    def test_zones_come_back_in_order(self, backend: Backend) -> None:
        """One result per zone."""
        assert backend.map_zones(lambda zone: zone * 10, range(7)) == [0, 10, 20, 30, 40, 50, 60]

    def test_packets_come_back_in_order(self, backend: Backend) -> None:
        """One result per packet, none if there are none."""
        assert list(backend.map_packets(lambda packet: packet + 1, [3, 1, 2])) == [4, 2, 3]
        assert list(backend.map_packets(lambda packet: packet, [])) == []

    def test_errors_reach_the_caller(self, backend: Backend) -> None:
        """Results before the error have been delivered."""

        def fails(packet: int) -> int:
            if packet == 2:
                raise ArithmeticError("packet 2")
            return packet

        seen: list[int] = []
        with pytest.raises(ArithmeticError, match="packet 2"):
            seen.extend(iter(backend.map_packets(fails, [0, 1, 2])))
        with pytest.raises(ArithmeticError, match="packet 2"):
            backend.map_zones(fails, [2])

    def test_numbers(self, backend: Backend) -> None:
        """At least one zone, and a coordination after at least one step."""
        assert backend.n_zones >= 1
        assert backend.coordinate_every >= 1
