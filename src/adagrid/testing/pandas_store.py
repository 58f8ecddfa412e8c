"""Jobs in plain data frames: the readable model that the other stores are tested against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores.layout import Checked
from adagrid.stores.schema import Schema
from adagrid.stores.store import ACTIVITY, NAMED, StepKey, Store, ZoneView, spread_frame, zone_of
from adagrid.stores.tables import Table, key_of
from adagrid.testing._frame_relations import inactive, retired, violations


@final
class PandasStore(Store):
    """A job in memory, in one data frame per table. Not for real runs: appending copies the table."""

    def __init__(self) -> None:
        self._tables: dict[Table, pd.DataFrame] = {}

    @property
    @override
    def location(self) -> str:
        return "memory (pandas)"

    @property
    @override
    def in_memory(self) -> bool:
        return True

    @property
    @override
    def exists(self) -> bool:
        return bool(self._tables)

    @override
    def create(self, schema: Schema) -> None:
        self.schema = schema
        self._tables = {
            name: pd.DataFrame(
                {column: np.empty(0, object if kind is str else kind) for column, kind in columns.items()}
            )
            for name, columns in schema.tables.items()
        }

    @override
    def _append(self, frames: Mapping[Table, pd.DataFrame]) -> None:
        for name, frame in frames.items():
            old = self._tables[name]
            self._tables[name] = pd.concat([old, frame], ignore_index=True) if len(old) else frame

    @override
    def table(self, name: Table) -> pd.DataFrame:
        return _in_order(self._tables[name], name)

    @override
    def results(self, name: Table = "results", *, active: bool) -> pd.DataFrame:
        results, replaced = self.table(name), inactive(self._tables["done"])
        return results[~results["id"].isin(replaced)].reset_index(drop=True) if active else results

    @override
    def rows(self, name: Table, ids: IdArray) -> pd.DataFrame:
        frame = self._tables[name].set_index("id", drop=False)
        lost = ids[~np.isin(ids, frame.index.to_numpy(np.uint64))]
        if len(lost):
            raise CorruptStoreError(f"{self.location}: {name} has no rows for the ids {lost[:NAMED].tolist()}.")
        return frame.loc[ids].reset_index(drop=True)

    @override
    def known(self, name: Table, ids: IdArray) -> IdArray:
        return ids[np.isin(ids, self._tables[name]["id"].to_numpy(np.uint64))]

    @override
    def step_rows(self, name: Table, key: StepKey, columns: Sequence[str] | None = None) -> pd.DataFrame:
        frame = self.table(name)
        here = np.logical_and.reduce([frame[column] == value for column, value in vars(key).items()])
        return frame.loc[here, list(columns or frame.columns)].reset_index(drop=True)

    @override
    def between(
        self, name: Table, bounds: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        frame = self._tables[name]
        inside = np.ones(len(frame), bool)
        for column, (low, high) in bounds.items():
            values = frame[column].to_numpy()
            inside &= (values >= low) & (values <= high)
        frame = _in_order(frame[inside], name)
        return frame if columns is None else frame[list(columns)]

    @override
    def last_step(self, coordination_id: int, zone_id: int) -> int | None:
        steps = self._tables["steps"]
        mine = steps[(steps["coordination_id"] == coordination_id) & (steps["zone_id"] == zone_id)]
        return int(mine["step_id"].max()) if len(mine) else None

    @override
    def last_coordination(self) -> int | None:
        ids = self._tables["coordinations"]["coordination_id"]
        return int(ids.max()) if len(ids) else None

    @override
    def frontier(self, view: ZoneView, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        results, done = self._tables["results"], self._tables["done"]
        done = done[done["step_id"] < view.before_step]
        mine = results["step_id"] < view.before_step
        if view.n_zones > 1:
            current = results["coordination_id"] == view.coordination_id
            older = results["coordination_id"] < view.coordination_id
            dealt = zone_of(results["id"].to_numpy(np.uint64), view.coordination_id, view.n_zones)
            mine &= (current & (results["zone_id"] == view.zone_id)) | (older & (dealt == view.zone_id))
        mine &= ~results["id"].isin(inactive(done))
        frame = results.loc[mine, ["id", *columns]].reset_index(drop=True)
        frame["eligible"] = ~frame["id"].isin(done["id"])
        yield frame

    @override
    def extreme(self, column: str, *, largest: bool, name: Table = "results", count: int = 1) -> pd.DataFrame:
        if column not in self.schema.tables[name]:
            raise StoreError(f"{name} has no column {column!r}.")
        return (
            self.results(name, active=True)
            .sort_values([column, "id"], ascending=[not largest, True], kind="stable", ignore_index=True)
            .head(count)
        )

    @override
    def spread(self, columns: Sequence[str], name: Table = "results") -> pd.DataFrame:
        active = self.results(name, active=True)[list(columns)].astype(float)
        return spread_frame(columns if len(active) else [], active.agg(["min", "mean", "max"]).to_numpy().T)

    @override
    def activity(self, since: float) -> pd.DataFrame:
        signs = [self._tables[name][["worker_id", "time"]] for name in ("config", "reports")]
        for name in self.schema.layout.simulated:
            rows = self._tables[name]
            rows = rows[rows["time"] >= since]
            signs.append(rows[["worker_id", "time"]].assign(simulated=1, simulations=rows["n_sims"]))
        grouped = pd.concat(signs).groupby("worker_id", as_index=False)
        named = {"last_sign": ("time", "max"), "simulated": ("simulated", "sum"), "simulations": ("simulations", "sum")}
        return grouped.agg(**named).astype(ACTIVITY)

    @override
    def summary(self) -> Mapping[str, int]:
        return self._classic_summary() if self.schema.layout.name == "tiles" else self._interpolated_summary()

    @override
    def violations(self) -> Mapping[str, IdArray]:
        return violations(self._tables, self.schema)

    @override
    def _accepted(self, earlier: Checked) -> Checked | None:
        return None  # the model looks at everything

    @override
    def reader(self) -> PandasStore:
        other = PandasStore()
        other._tables = dict(self._tables)  # frames are replaced, never changed
        if self.exists:
            other.schema = self.schema
        return other

    @override
    def close(self) -> None:
        pass

    def _classic_summary(self) -> Mapping[str, int]:
        tiles, results, done = (self._tables[name] for name in ("tiles", "results", "done"))
        return {
            "tiles": len(tiles),
            "results": len(results),
            "active": int((~results["id"].isin(inactive(done))).sum()),
            "eligible": int((~results["id"].isin(done["id"])).sum()),
            "steps": len(self._tables["steps"]),
            "simulations": int(results["n_sims"].sum()),
            "pending": int((~tiles["id"].isin(results["id"]) & ~tiles["id"].isin(retired(done))).sum()),
            "points": len(results),
        }

    def _interpolated_summary(self) -> Mapping[str, int]:
        points, certificate = self._tables["points"], self._tables["certificate"]
        simulated = pd.concat([self._tables[name][["id", "n_sims"]] for name in ("pilot", "vertices")])
        in_force = int((~certificate["id"].isin(inactive(self._tables["done"]))).sum())
        return {
            "tiles": len(self._tables["cells"]),
            "results": len(certificate),
            "active": in_force,
            "eligible": in_force,
            "steps": len(self._tables["steps"]),
            "simulations": int(simulated["n_sims"].sum()),
            "pending": int((~points["id"].isin(simulated["id"])).sum()),
            "points": len(points),
        }


def _in_order(frame: pd.DataFrame, name: Table) -> pd.DataFrame:
    """Return rows of a table in the order of its keys, rows with the same keys as they were appended."""
    order = np.lexsort([frame[key].to_numpy() for key in reversed(key_of(name))])
    return frame.take(order).reset_index(drop=True)
