"""Jobs in plain data frames: the readable model that the other stores are tested against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores.base import NAMED, VOLUME_TOLERANCE, Place, Schema, Store, Table, ZoneView, zone_of
from adagrid.stores.schema import INCIDENTAL, KEYS

_STEP = ["coordination_id", "zone_id", "step_id"]


@final
class PandasStore(Store):
    """A job in memory, in one data frame per table. Not for real runs: appending copies the table."""

    def __init__(self) -> None:
        self._tables: dict[str, pd.DataFrame] = {}

    @property
    @override
    def location(self) -> str:
        return "memory (pandas)"

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
        return self._tables[name].sort_values(list(KEYS[name]), kind="stable", ignore_index=True)

    @override
    def results(self, *, active: bool) -> pd.DataFrame:
        results = self.table("results")
        return results[~results["id"].isin(self._inactive())].reset_index(drop=True) if active else results

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
    def step_rows(self, name: Table, place: Place) -> pd.DataFrame:
        frame = self.table(name)
        here = np.logical_and.reduce([frame[column] == value for column, value in vars(place).items()])
        return frame[here].reset_index(drop=True)

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
    def frontier(self, view: ZoneView, columns: Sequence[str]) -> pd.DataFrame:
        results, done = self._tables["results"], self._tables["done"]
        done = done[done["step_id"] < view.before_step]
        mine = results["step_id"] < view.before_step
        if view.n_zones > 1:
            current = results["coordination_id"] == view.coordination_id
            older = results["coordination_id"] < view.coordination_id
            dealt = zone_of(results["id"].to_numpy(np.uint64), view.coordination_id, view.n_zones)
            mine &= (current & (results["zone_id"] == view.zone_id)) | (older & (dealt == view.zone_id))
        mine &= ~results["id"].isin(done["id"][done["active"] == 0])
        frame = results.loc[mine, ["id", *columns]].reset_index(drop=True)
        frame["eligible"] = ~frame["id"].isin(done["id"])
        return frame

    @override
    def extreme(self, column: str, *, largest: bool) -> pd.DataFrame:
        if column not in self.schema.tables["results"]:
            raise StoreError(f"results has no column {column!r}.")
        return (
            self.results(active=True)
            .sort_values([column, "id"], ascending=[not largest, True], kind="stable", ignore_index=True)
            .head(1)
        )

    @override
    def summary(self) -> Mapping[str, int]:
        tiles, results, done = (self._tables[name] for name in ("tiles", "results", "done"))
        return {
            "tiles": len(tiles),
            "results": len(results),
            "active": int((~results["id"].isin(self._inactive())).sum()),
            "eligible": int((~results["id"].isin(done["id"])).sum()),
            "steps": len(self._tables["steps"]),
            "simulations": int(results["n_sims"].sum()),
            "pending": int((~tiles["id"].isin(results["id"]) & ~tiles["id"].isin(self._retired())).sum()),
        }

    @override
    def violations(self) -> Mapping[str, IdArray]:
        tiles, results, done, steps = (self._tables[name] for name in ("tiles", "results", "done", "steps"))
        finished_steps = pd.MultiIndex.from_frame(steps[_STEP])
        finished = pd.MultiIndex.from_frame(tiles[_STEP]).isin(finished_steps)
        inactive, retired = self._inactive(), self._retired()
        child = tiles["parent_id"] != 0
        children = tiles[child].groupby("parent_id")["volume"].agg(["size", "sum"])
        promised = done.set_index("id")[["refine", "deepen", "split"]].sum(axis=1)
        promised = promised.groupby(level=0).sum()
        born = children["size"].reindex(promised.index, fill_value=0)
        whole = tiles.drop_duplicates("id").set_index("id")["volume"].reindex(children.index)
        gap = (children["sum"] - whole).abs() > VOLUME_TOLERANCE * whole
        relations: dict[str, Any] = {
            "tiles has each id once": tiles["id"][tiles["id"].duplicated()],
            "results has each id once": results["id"][results["id"].duplicated()],
            "done has each id once": done["id"][done["id"].duplicated()],
            "every tile of a finished step has a result, unless it was split or pruned": tiles["id"][
                finished & ~tiles["id"].isin(results["id"]) & ~tiles["id"].isin(retired)
            ],
            "a tile that was split or pruned has no result": results["id"][results["id"].isin(retired)],
            "every result has its tile": results["id"][~results["id"].isin(tiles["id"])],
            "every row of done has its tile": done["id"][~done["id"].isin(tiles["id"])],
            "every parent is a tile": tiles["id"][child & ~tiles["parent_id"].isin(tiles["id"])],
            "a parent is in done, replaced": tiles["id"][finished & child & ~tiles["parent_id"].isin(inactive)],
            "an active tile has no children": results["id"][
                ~results["id"].isin(inactive) & results["id"].isin(tiles["parent_id"][finished])
            ],
            "a tile has as many children as done says": promised.index[born != promised],
            "children cover their parent": children.index[gap & children.index.isin(inactive)],
            "results repeat the columns of their tiles": self._mismatches(tiles, results),
        }
        broken = {name: np.unique(np.asarray(ids, np.uint64))[:NAMED] for name, ids in relations.items() if len(ids)}
        wrong = self._wrong_steps(tiles, done, steps)
        if len(wrong):
            broken["steps counts the tiles and done rows of its step"] = wrong
        if not broken and finished.all():
            region = tiles["volume"][~child].sum()
            active = tiles["id"].isin(results["id"]) & ~tiles["id"].isin(inactive)
            pruned = tiles["id"].isin(done["id"][(done["active"] == 0) & (promised.loc[done["id"]].to_numpy() == 0)])
            if abs(region - tiles["volume"][active | pruned].sum()) > VOLUME_TOLERANCE * region:
                broken["active and pruned tiles cover the region exactly"] = np.zeros(1, np.uint64)
        return broken

    @override
    def close(self) -> None:
        pass

    def _mismatches(self, tiles: pd.DataFrame, results: pd.DataFrame) -> pd.Series:
        columns = [name for name in self.schema.tables["tiles"] if name not in INCIDENTAL]
        spread = pd.concat([tiles[columns], results[columns]]).groupby("id").nunique()
        return spread.index[(spread > 1).any(axis=1)].to_series()

    def _wrong_steps(self, tiles: pd.DataFrame, done: pd.DataFrame, steps: pd.DataFrame) -> IdArray:
        counts = pd.DataFrame(
            {
                "said": steps.groupby(_STEP).size(),
                "tiles_said": steps.groupby(_STEP)["n_tiles"].sum(),
                "done_said": steps.groupby(_STEP)["n_done"].sum(),
                "tiles_found": tiles.groupby(_STEP).size(),
                "done_found": done.groupby(_STEP).size(),
            }
        ).fillna(0)
        zones = pd.MultiIndex.from_arrays([counts.index.get_level_values(level) for level in _STEP[:2]])
        last = steps.groupby(_STEP[:2])["step_id"].max().reindex(zones, fill_value=0)
        differ = (counts["tiles_said"] != counts["tiles_found"]) | (counts["done_said"] != counts["done_found"])
        skipped = counts.index.get_level_values(2) < last.to_numpy()
        wrong = np.where(counts["said"] > 0, differ | (counts["said"] > 1), skipped)
        return np.sort(counts.index.get_level_values(2).to_numpy(np.uint64)[wrong.astype(bool)])[:NAMED]

    def _inactive(self) -> pd.Series:
        done = self._tables["done"]
        return done["id"][done["active"] == 0]

    def _retired(self) -> pd.Series:
        done = self._tables["done"]
        return done["id"][(done["active"] == 0) & (done["refine"] + done["deepen"] == 0)]
