"""The extension point for storage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import Array, FloatArray, IdArray
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores.layout import Checked
from adagrid.stores.schema import Schema
from adagrid.stores.tables import Table

# How many offending ids are named.
NAMED = 10
# Columns of `Store.activity`.
ACTIVITY = {"worker_id": np.uint32, "last_sign": np.float64, "simulated": np.int64, "simulations": np.int64}


@final
@dataclass(frozen=True)
class StepKey:
    """Where in a job something happens."""

    coordination_id: int
    zone_id: int
    step_id: int


_KEY_COLUMNS = [each.name for each in fields(StepKey)]


@final
@dataclass(frozen=True)
class ZoneView:
    """The tiles of one zone as they stood before a step, whatever was written since.

    A tile created in the current coordination belongs to the zone that created it; the zone of an older tile is
    a function of its id, so a coordination moves no rows.

    Args:
        coordination_id: the coordination that dealt the zones.
        zone_id: the zone, from 0.
        n_zones: number of zones; 1 sees all tiles.
        before_step: rows of this and later steps are ignored.
    """

    coordination_id: int
    zone_id: int
    n_zones: int
    before_step: int

    @property
    def shift(self) -> int:
        """Number of low bits of an id that are dropped before the modulo; differs between coordinations."""
        return zone_shift(self.coordination_id)


def zone_shift(coordination_id: int) -> int:
    """Return the number of low bits of ids that a coordination drops before it deals zones."""
    return (coordination_id * 7) % 43


def zone_of(ids: IdArray, coordination_id: int, n_zones: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """Return the zones that a coordination deals to older tiles."""
    return ((ids >> np.uint64(zone_shift(coordination_id))) % np.uint64(n_zones)).astype(np.uint32)


def spread_frame(columns: Sequence[str], values: FloatArray) -> pd.DataFrame:
    """Return what `Store.spread` does, from values of shape (columns, 3)."""
    least, mean, greatest = values[: len(columns)].T
    return pd.DataFrame({"column": list(columns), "least": least, "mean": mean, "greatest": greatest})


class Store(ABC):
    """One job's tables: rows are appended and read, never changed.

    A store belongs to the process and thread that opened it. Every `append` is atomic where the engine has
    transactions, and may in other engines be cut short by a kill: all writers first ask which ids are missing,
    so running again completes what is there. Frames have the schema's columns; NaN is refused.
    `adagrid.testing.StoreContract` checks an implementation. A database that another process wrote is not trusted: a
    store refuses anything in it but the schema's tables, and runs nothing that it defines.

    Raises, from every method: `StoreError` if the database fails.
    """

    schema: Schema
    """Set by `create`, or read when the store is opened on an existing job."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the database is, for people; never with a password."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether the tables have been created."""

    @abstractmethod
    def create(self, schema: Schema) -> None:
        """Create the tables of a new job."""

    @abstractmethod
    def _append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        """Insert checked rows into tables, in one transaction if there are any."""

    @abstractmethod
    def table(self, name: Table) -> pd.DataFrame:
        """Return a whole table in the order of its keys, every row once."""

    @abstractmethod
    def results(self, name: Table = "results", *, active: bool) -> pd.DataFrame:
        """Return results or the certificate, all of it or that of active tiles or cells, in the order of the keys."""

    @abstractmethod
    def rows(self, name: Table, ids: IdArray) -> pd.DataFrame:
        """Return the rows of a table that has ids with given ids, in the order of the ids.

        Raises:
            CorruptStoreError: if an id has no row.
        """

    @abstractmethod
    def known(self, name: Table, ids: IdArray) -> IdArray:
        """Return those of the ids that have a row in a table that has ids."""

    @abstractmethod
    def step_rows(self, name: Table, key: StepKey, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of a table with ids that a step wrote, in the order of their keys; all columns if None."""

    @abstractmethod
    def between(
        self, name: Table, bounds: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the rows whose values lie between bounds, both included, in the order of the table's keys.

        Args:
            name: a table.
            bounds: the least and the greatest value, by column; none for all rows.
            columns: what to return of the rows; everything if None.
        """

    @abstractmethod
    def last_step(self, coordination_id: int, zone_id: int) -> int | None:
        """Return the last finished step of a zone in a coordination, None if there is none."""

    @abstractmethod
    def last_coordination(self) -> int | None:
        """Return the last coordination, None before the first."""

    @abstractmethod
    def frontier(self, view: ZoneView, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield ids, the given columns of results and `eligible` of the active tiles that a zone sees.

        Every tile is in one of the frames, whose number and order are the store's: they are as large as it is
        good to have in memory. Only for classic jobs: the rounds of interpolated ones see everything.
        """

    @abstractmethod
    def extreme(self, column: str, *, largest: bool, name: Table = "results", count: int = 1) -> pd.DataFrame:
        """Return the rows with the most extreme values of a column of results or of the certificate, those first.

        Only active tiles or cells count; ties go to the lower id.

        Raises:
            StoreError: if there is no such column.
        """

    @abstractmethod
    def spread(self, columns: Sequence[str], name: Table = "results") -> pd.DataFrame:
        """Return the least, the mean and the greatest value of columns over active tiles or cells.

        Returns:
            One row per column, in their order: `column`, `least`, `mean`, `greatest`; none if nothing is active.
        """

    @abstractmethod
    def activity(self, since: float) -> pd.DataFrame:
        """Return what workers did.

        Args:
            since: a time, in seconds since 1970.

        Returns:
            One row per worker, in the order of their ids: `worker_id`, `last_sign` (of life: the time of the last
            row it wrote of its start, its reports and its simulations), and since the given time `simulated` (tiles
            or points) with the `simulations` behind them.
        """

    @abstractmethod
    def summary(self) -> Mapping[str, int]:
        """Return counts: tiles, results, active, eligible, steps, simulations, pending, points.

        Classic jobs: `simulations` sums the simulations behind all results, `pending` counts tiles that await
        simulation, and every result has its own point. Interpolated jobs: `tiles` counts cells planned, `results`
        cells certified, `active` those in force, all of them eligible; `simulations` sums those of pilot and
        vertices, `points` counts points planned, and `pending` those that await simulation.
        """

    @abstractmethod
    def violations(self) -> Mapping[str, IdArray]:
        """Return the relations of `verify` that do not hold, each with up to ten offending ids."""

    @property
    def incomplete(self) -> Sequence[str]:
        """The tables in which values are missing or NaN: nobody appends such rows, and no comparison sees them."""
        return []

    @abstractmethod
    def _accepted(self, earlier: Checked) -> Checked | None:
        """Return how far a job is checked that is sound for certain; None if `violations` must be asked.

        Args:
            earlier: how far it was checked before; rows of these coordinations need no second look.
        """

    @abstractmethod
    def reader(self) -> Store:
        """Return a store that reads the same job in another thread, which calls this, and closes it."""

    @property
    def in_memory(self) -> bool:
        """Whether the job ends with this process."""
        return False

    @property
    def opener(self) -> Callable[[], Store] | None:
        """What opens the same job in another process, on another machine, too; None if only this process can."""
        return None

    def interrupt(self) -> None:  # noqa: B027 - most engines answer soon enough
        """Let what another thread reads with this store fail soon, if the engine can."""

    @abstractmethod
    def close(self) -> None:
        """Close the database; idempotent."""

    @final
    def append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        """Insert rows into one or more tables.

        Args:
            frames: rows with (at least) the columns of the schema. Engines without transactions insert them in
                the order of the tables given.

        Raises:
            StoreError: if a column is missing or a number is NaN: some engines turn NaN into 0.
        """
        checked: dict[Table, pd.DataFrame] = {}
        for name, frame in frames.items():
            columns = self.schema.tables[name]
            missing = [column for column in columns if column not in frame.columns]
            if missing:
                raise StoreError(f"Rows for {name!r} need the columns {missing}.")
            rows: dict[str, Array] = {
                column: frame[column].to_numpy().astype(object if kind is str else kind, copy=False)
                for column, kind in columns.items()
            }
            for column, kind in columns.items():
                if kind is not str and np.issubdtype(kind, np.floating) and np.isnan(rows[column]).any():
                    raise StoreError(f"NaN may not be stored, but column {column!r} of {name!r} has one.")
            if len(frame):
                checked[name] = pd.DataFrame(rows)
        if checked:
            self._append(checked)

    @final
    def append_missing(self, frames: Mapping[Table, pd.DataFrame], *, key: Table) -> int:
        """Insert only rows whose ids are not yet in `key`; rows of other tables in `frames` go with them.

        A row that is written again has the same step, so only rows of the same steps are looked at: this costs
        the same whatever the size of the table. `verify` finds an id that a different step has.

        Returns:
            How many rows of `key` were missing.
        """
        frame = frames[key]
        steps = frame[_KEY_COLUMNS].drop_duplicates().itertuples(index=False, name=None)
        known = [self.step_rows(key, StepKey(*map(int, step)), ["id"])["id"] for step in steps]
        new = ~frame["id"].isin(pd.concat(known) if known else []).to_numpy()
        if new.any():
            self.append({**frames, key: frame[new]})
        return int(new.sum())

    @final
    def verify(self, earlier: Checked | None = None) -> Checked:
        """Check the relations between the tables of finished steps.

        Args:
            earlier: what `verify` returned for this job before; only what was added since is then checked, or
                everything in case of doubt. None checks everything.

        Returns:
            How far the job has been checked.

        Raises:
            CorruptStoreError: naming every relation that does not hold, with offending ids.
        """
        checked = self._accepted(earlier or Checked())
        if checked is not None:
            return checked
        broken = self.violations()
        if broken:
            lines = [f"- {name}: {', '.join(str(i) for i in ids.tolist())}" for name, ids in broken.items()]
            raise CorruptStoreError(
                f"{self.location} contradicts itself; do not use its certificate. Broken relations with the first "
                "offending ids of tiles, cells or points (or step numbers):\n" + "\n".join(lines)
            )
        return Checked()
