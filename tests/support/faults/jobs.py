"""Small jobs to be killed, the databases they are kept in, and what must be the same in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from unittest import mock
from urllib.request import urlopen

import pandas as pd

import adagrid as ada
from adagrid.methods.cells import calibration as calibrate
from adagrid.methods.cells import validation as validate
from adagrid.stores import Store
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.tables import INCIDENTAL
from tests.support.clickhouse_server import connect_to_old_server
from tests.support.jobcases import run_case

# Tables that tell how often and when a job was run, and so differ.
_STORIES = ("config", "reports", "logs")


def _every_step(n_zones: int) -> ada.LocalBackend:
    return ada.LocalBackend(n_zones=n_zones, coordinate_every=1)


def _after_one_pilot(case: str, db: Store, **settings: float) -> ada.Run:
    """Run an interpolated job without further rounds of its pilot, which are more of the same."""
    with mock.patch.object(validate, "PILOT_ROUNDS", 0), mock.patch.object(calibrate, "PILOT_ROUNDS", 0):
        return run_case(case, db=db, packet_size=5, **settings)


JOBS: Mapping[str, Callable[[Store], ada.Run]] = {
    "classic validation, certified": lambda db: run_case(
        "validate_z", db=db, n_steps=2, packet_size=5, backend=_every_step(1)
    ).certify(),
    "classic calibration in 2 zones": lambda db: run_case(
        "calibrate_z", db=db, n_steps=2, packet_size=5, backend=_every_step(2)
    ),
    "interpolated validation with repairs": lambda db: _after_one_pilot(
        "staged_validate_z", db, max_target=0.01, global_target=0.02, model_seed=3
    ),
    "interpolated calibration": lambda db: _after_one_pilot("staged_calibrate_z", db),
    "classic validation in packets of 1": lambda db: run_case(
        "validate_z", db=db, n_steps=5, packet_size=1, backend=_every_step(1)
    ),
}
*KILLED, LONG = JOBS
"""The jobs that are killed at every moment, and the one that is long enough to be disturbed often."""


class Engine(ABC):
    """Where jobs are kept, each under a name."""

    name: str

    @abstractmethod
    def open(self, name: str) -> Store:
        """Open the database of a job, which may not exist yet."""

    @abstractmethod
    def forget(self, name: str) -> None:
        """Remove the database of a job."""


@final
@dataclass(frozen=True)
class DuckDBFiles(Engine):
    """DuckDB files in a folder."""

    folder: Path
    name = "DuckDB"

    def open(self, name: str) -> Store:
        return DuckDBStore(self.folder / f"{name}.duckdb")

    def forget(self, name: str) -> None:
        for file in self.folder.glob(f"{name}.duckdb*"):
            file.unlink()


@final
@dataclass(frozen=True)
class ClickHouseDatabases(Engine):
    """Databases on a ClickHouse server of this machine."""

    port: int
    name = "ClickHouse"

    def open(self, name: str) -> Store:
        return ClickHouseStore(f"clickhouse://default@127.0.0.1:{self.port}/{name}", connect=connect_to_old_server)

    def forget(self, name: str) -> None:
        query = f"drop database if exists adagrid_{name}"
        with urlopen(f"http://127.0.0.1:{self.port}/", query.encode(), timeout=60):
            pass


def answer(run: ada.Run, store: Store) -> dict[str, Any]:
    """Return all that two runs of the same job must agree on."""
    names = [name for name in store.schema.tables if name not in _STORIES]
    tables = {name: store.table(name) for name in names}
    kept = {
        name: frame.drop(columns=[column for column in INCIDENTAL if column in frame]) for name, frame in tables.items()
    }
    figures = {"status": run.status, "guarantee": run.guarantee, "bound": run.bound, "threshold": run.threshold}
    return kept | figures


def assert_same_answer(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Equal to the last bit, types included."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(actual[name], value, check_exact=True, obj=name)
        else:
            assert actual[name] == value, name
