"""The queries of the stores that speak SQL.

One set of texts serves every engine. They avoid what some engine lacks: Booleans, named selects, window
functions, semi and anti joins, more than one join, EXCEPT and EXISTS. Values are bound as :name; identifiers come
from the schema, never from users.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import IdArray
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores.base import NAMED, VOLUME_TOLERANCE, Place, Schema, Store, Table, ZoneView
from adagrid.stores.schema import INCIDENTAL, KEYS

_INACTIVE = "(select id from done where active = 0)"
# Steps that are finished: later rows may be incomplete without anything being wrong.
_FINISHED = "(coordination_id, zone_id, step_id) in (select coordination_id, zone_id, step_id from steps)"

# Each query returns the ids that break a relation.
_TILE_RELATIONS: Mapping[str, str] = {
    "tiles has each id once": "select id from tiles group by id having count(*) > 1",
    "results has each id once": "select id from results group by id having count(*) > 1",
    "done has each id once": "select id from done group by id having count(*) > 1",
    "every tile of a finished step has a result, unless it was split or pruned": f"""
        select id from tiles where {_FINISHED} and id not in (select id from results)
        and id not in (select id from done where active = 0 and refine + deepen = 0)""",
    "a tile that was split or pruned has no result": """
        select id from results
        where id in (select id from done where active = 0 and refine + deepen = 0)""",
    "every result has its tile": "select id from results where id not in (select id from tiles)",
    "every row of done has its tile": "select id from done where id not in (select id from tiles)",
    "every parent is a tile": """
        select id from tiles where parent_id <> 0 and parent_id not in (select id from tiles)""",
    "a parent is in done, replaced": f"""
        select id from tiles where {_FINISHED} and parent_id <> 0 and parent_id not in {_INACTIVE}""",
    "an active tile has no children": f"""
        select id from results where id not in {_INACTIVE}
        and id in (select parent_id from tiles where {_FINISHED})""",
    "a tile has as many children as done says": """
        select id from (
            select parent_id as id, count(*) as n, 0 as expected from tiles group by parent_id
            union all select id, 0 as n, refine + deepen + split as expected from done
        ) as families where id <> 0 and id in (select id from done)
        group by id having sum(n) <> sum(expected)""",
    "children cover their parent": """
        select id from (
            select parent_id as id, volume as inside, 0.0 as whole, 1 as child from tiles where parent_id <> 0
            union all select id, 0.0 as inside, volume as whole, 0 as child from tiles
            where id in (select parent_id from tiles)
        ) as families where id in (select id from done where active = 0)
        group by id having max(child) = 1 and abs(sum(inside) - sum(whole)) > :tolerance * sum(whole)""",
}
_COVERED = f"""
    select sum(whole) as whole, sum(covered) as covered from (
        select volume as whole, 0.0 as covered from tiles where parent_id = 0
        union all select 0.0 as whole, volume as covered from tiles
        where id in (select id from results) and id not in {_INACTIVE}
        union all select 0.0 as whole, volume as covered from tiles
        where id in (select id from done where active = 0 and refine + deepen + split = 0)
    ) as volumes"""
_STEPS = """
    select counts.step_id as id from (
        select coordination_id, zone_id, step_id, sum(said) as said,
            sum(tiles_said) as tiles_said, sum(tiles_found) as tiles_found,
            sum(done_said) as done_said, sum(done_found) as done_found from (
            select coordination_id, zone_id, step_id, 1 as said, n_tiles as tiles_said, 0 as tiles_found,
                n_done as done_said, 0 as done_found from steps
            union all select coordination_id, zone_id, step_id, 0 as said, 0 as tiles_said, 1 as tiles_found,
                0 as done_said, 0 as done_found from tiles
            union all select coordination_id, zone_id, step_id, 0 as said, 0 as tiles_said, 0 as tiles_found,
                0 as done_said, 1 as done_found from done
        ) as rows group by coordination_id, zone_id, step_id
    ) as counts left join (
        select coordination_id, zone_id, max(step_id) as last from steps group by coordination_id, zone_id
    ) as zones on counts.coordination_id = zones.coordination_id and counts.zone_id = zones.zone_id
    where said > 1 or (said = 1 and (tiles_said <> tiles_found or done_said <> done_found))
        or (said = 0 and counts.step_id < zones.last)"""
_RELATIONS: dict[str, str] = {
    **_TILE_RELATIONS,
    "steps counts the tiles and done rows of its step": _STEPS,
}


def _order(name: Table) -> str:
    return ", ".join(KEYS[name])


class SqlStore(Store):
    """A store whose engine speaks SQL; subclasses connect, insert and run queries."""

    @abstractmethod
    def _query(self, sql: str, values: Mapping[str, int | float] | None = None) -> pd.DataFrame:
        """Run a query; :name in the text stands for the value of that name."""

    @abstractmethod
    def _query_ids(self, sql: str, ids: IdArray) -> pd.DataFrame:
        """Run a query in which the table `wanted` has a column id with the given ids."""

    @final
    @override
    def table(self, name: Table) -> pd.DataFrame:
        return self._query(f"select {self._columns(name)} from {name} order by {_order(name)}")

    @final
    @override
    def results(self, *, active: bool) -> pd.DataFrame:
        condition = f"where id not in {_INACTIVE}" if active else ""
        return self._query(f"select {self._columns('results')} from results {condition} order by {_order('results')}")

    @final
    @override
    def rows(self, name: Table, ids: IdArray) -> pd.DataFrame:
        found = self._query_ids(
            f"select {self._columns(name)} from {name} where id in (select id from wanted)", ids
        ).drop_duplicates("id")
        found = found.set_index("id", drop=False)
        if len(found) < len(ids):
            lost = ids[~np.isin(ids, found["id"].to_numpy(np.uint64))]
            raise CorruptStoreError(f"{self.location}: {name} has no rows for the ids {lost[:NAMED].tolist()}.")
        return found.loc[ids].reset_index(drop=True)

    @final
    @override
    def known(self, name: Table, ids: IdArray) -> IdArray:
        found = self._query_ids(f"select distinct id from {name} where id in (select id from wanted)", ids)
        return found["id"].to_numpy(np.uint64)

    @final
    @override
    def step_rows(self, name: Table, place: Place) -> pd.DataFrame:
        return self._query(
            f"select {self._columns(name)} from {name} where coordination_id = :coordination_id "
            f"and zone_id = :zone_id and step_id = :step_id order by {_order(name)}",
            vars(place),
        )

    @final
    @override
    def last_step(self, coordination_id: int, zone_id: int) -> int | None:
        return self._last(
            "select count(*) as n, max(step_id) as last from steps "
            "where coordination_id = :coordination_id and zone_id = :zone_id",
            {"coordination_id": coordination_id, "zone_id": zone_id},
        )

    @final
    @override
    def last_coordination(self) -> int | None:
        return self._last("select count(*) as n, max(coordination_id) as last from coordinations", {})

    @final
    @override
    def frontier(self, view: ZoneView, columns: Sequence[str]) -> pd.DataFrame:
        values = vars(view) | {"shift": view.shift}
        mine = (
            "((coordination_id = :coordination_id and zone_id = :zone_id) or (coordination_id < :coordination_id "
            f"and {self._shifted('id', ':shift')} % :n_zones = :zone_id))"
            if view.n_zones > 1
            else "1 = 1"
        )
        used = {name: values[name] for name in ("coordination_id", "zone_id", "n_zones", "shift")}
        bound = (used if view.n_zones > 1 else {}) | {"before_step": view.before_step}
        frame = self._query(
            f"select {', '.join(['id', *columns])} from results where {mine} and step_id < :before_step "
            "and id not in (select id from done where active = 0 and step_id < :before_step)",
            bound,
        ).drop_duplicates("id")
        finished = self._query(
            "select id from done where active = 1 and step_id < :before_step",
            {"before_step": view.before_step},
        )
        frame["eligible"] = ~np.isin(frame["id"].to_numpy(np.uint64), finished["id"].to_numpy(np.uint64))
        return frame

    @final
    @override
    def extreme(self, column: str, *, largest: bool) -> pd.DataFrame:
        if column not in self.schema.tables["results"]:
            raise StoreError(f"results has no column {column!r}.")
        return self._query(
            f"select {self._columns('results')} from results where id not in {_INACTIVE} "
            f"order by {column} {'desc' if largest else 'asc'}, id limit 1"
        )

    @final
    @override
    def summary(self) -> Mapping[str, int]:
        number = self._number
        return {
            "tiles": number("count(distinct id) as n from tiles"),
            "results": number("count(distinct id) as n from results"),
            "active": number(f"count(distinct id) as n from results where id not in {_INACTIVE}"),
            "eligible": number("count(distinct id) as n from results where id not in (select id from done)"),
            "steps": number("count(*) as n from steps"),
            "simulations": number("coalesce(sum(n_sims), 0) as n from results"),
            "pending": number(
                "count(distinct id) as n from tiles where id not in (select id from results) "
                "and id not in (select id from done where active = 0 and refine + deepen = 0)"
            ),
        }

    @final
    @override
    def violations(self) -> Mapping[str, IdArray]:
        broken: dict[str, IdArray] = {}
        for name, sql in (_RELATIONS | {"results repeat the columns of their tiles": self._mismatches()}).items():
            values = {"tolerance": VOLUME_TOLERANCE} if ":tolerance" in sql else {}
            found = self._query(f"select id from ({sql}) as broken order by id limit {NAMED}", values)
            if len(found):
                broken[name] = found["id"].to_numpy(np.uint64)
        if not broken and not self._number(f"count(*) as n from tiles where not ({_FINISHED})"):
            volumes = self._query(_COVERED).fillna(0.0).iloc[0]
            if abs(volumes["whole"] - volumes["covered"]) > VOLUME_TOLERANCE * volumes["whole"]:
                broken["active and pruned tiles cover the region exactly"] = np.zeros(1, np.uint64)
        return broken

    def _mismatches(self) -> str:
        """Return the query for results that differ from their tiles in a column of both."""
        columns = [name for name in self.schema.tables["tiles"] if name not in ("id", *INCIDENTAL)]
        listed = ", ".join(["id", *columns])
        differ = " or ".join(f"min({name}) <> max({name})" for name in columns)
        both = f"select {listed} from tiles union all select {listed} from results"
        return f"select id from ({both}) as rows group by id having {differ}"

    def _number(self, sql: str) -> int:
        return int(self._query(f"select {sql}")["n"].iloc[0])

    def _last(self, sql: str, values: Mapping[str, int]) -> int | None:
        row = self._query(sql, values).iloc[0]
        return int(row["last"]) if row["n"] else None

    def _columns(self, name: Table) -> str:
        return ", ".join(self.schema.tables[name])

    @staticmethod
    def _shifted(column: str, shift: str) -> str:
        """Return the expression for a 64-bit word without its low bits."""
        return f"({column} >> {shift})"

    def _read_schema(self) -> Schema:
        row = self._query("select version, definition from schema").iloc[0]
        return Schema.loads(int(row["version"]), str(row["definition"]), self.location)
