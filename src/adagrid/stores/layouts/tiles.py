"""The tables of methods that simulate tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, final

import pandas as pd
from typing_extensions import override

from adagrid.grid.tiles import tile_columns
from adagrid.stores._sql_ledger import (
    COUNTED,
    EARLIER,
    GAP,
    NEW,
    PROMISED,
    USED,
    Fact,
    by_id,
    differing,
    number_of,
    row,
    step_rows,
    total,
    volume_of,
)
from adagrid.stores._sql_relations import (
    CERTIFIED,
    FINISHED,
    INACTIVE,
    LAST,
    RETIRED,
    STEPS,
    covered,
    families,
    lacking,
    once,
    repeats,
    steps,
    unlike_box,
)
from adagrid.stores.layout import Checked, Layout, Queries, WriteOrder
from adagrid.stores.tables import DESIGN, PLACED_KEY, Columns, Table, placed

if TYPE_CHECKING:
    from adagrid.stores.schema import Schema


@final
class TileLayout(Layout):
    """The tables of methods that simulate tiles at their centres.

    `results`        the columns of `tiles` and what simulation gave: after a search it alone has all figures
    `certificate`    the same of a fresh pass, whose simulations had no part in choosing the tiles
    """

    name = "tiles"
    simulated = ("results", "certificate")
    extended = ("results",)
    order = WriteOrder({"search": ("tiles", "results", "done"), "certify": ("certificate",)}, many_steps=True)
    counts: ClassVar = {
        "tiles": "count(distinct id) as n from tiles",
        "results": "count(distinct id) as n from results",
        "active": f"count(distinct id) as n from results where id not in {INACTIVE}",
        "eligible": "count(distinct id) as n from results where id not in (select id from done)",
        "steps": STEPS,
        "simulations": """coalesce(sum(n_sims), 0) as n from (
            select id, max(n_sims) as n_sims from results group by id) as simulated""",
        "pending": f"""count(distinct id) as n from tiles
            where id not in (select id from results) and id not in {RETIRED}""",
        "points": "count(distinct id) as n from results",
    }

    @override
    def tables(self, dim: int, n_nulls: int, added: Mapping[Table, Columns]) -> Mapping[Table, Columns]:
        tiles = placed(tile_columns(dim, n_nulls))
        results = {**tiles, **DESIGN, **added.get("results", {})}
        return {"tiles": tiles, "results": results, "certificate": results}

    @override
    def relations(self, schema: Schema) -> Queries:
        return {
            **once("tiles", "results", "certificate", "done"),
            "every tile of a finished step has a result, unless it was split or pruned": lacking(
                "tiles", "results", where=f"{FINISHED} and id not in {RETIRED}"
            ),
            "a tile that was split or pruned has no result": f"select id from results where id in {RETIRED}",
            "every result has its tile": lacking("results", "tiles"),
            "every row of done has its tile": lacking("done", "tiles"),
            "every parent is a tile": lacking("tiles", "tiles", column="parent_id", where="parent_id <> 0"),
            "a parent is in done, replaced": f"""
                select id from tiles where {FINISHED} and parent_id <> 0 and parent_id not in {INACTIVE}""",
            "an active tile has no children": f"""
                select id from results where id not in {INACTIVE}
                and id in (select parent_id from tiles where {FINISHED})""",
            **families("tiles"),
            **repeats(schema, "results", "tiles"),
            # a certificate is of a later step than its tile
            **repeats(schema, "certificate", "tiles", except_for=PLACED_KEY),
            "every certified tile is active": f"""
                select id from certificate where id in {INACTIVE} or id not in (select id from results)""",
            "every active tile is certified at the end of certification": lacking(
                "results", "certificate", where=f"id not in {INACTIVE} and {LAST} in ({CERTIFIED})"
            ),
            **steps("n_tiles", "tiles"),
            **steps("n_done", "done"),
        }

    @override
    def coverage(self, schema: Schema) -> Queries:
        unfinished = f"(select count(*) from tiles where not ({FINISHED})) = 0"
        active = f"tiles where id in (select id from results) and id not in {INACTIVE}"
        return {"active and pruned tiles cover the region exactly": covered(active, unfinished)}

    @override
    def ledger(self, schema: Schema) -> Sequence[str]:
        gone = f"done where active = 0 and {NEW}"
        facts = [
            Fact("root", f"tiles where parent_id = 0 and {NEW}", volume="volume"),
            Fact("unlike", f"({unlike_box(schema)} and {NEW}) as boxes"),
            Fact("born", f"tiles where parent_id <> 0 and {NEW}", volume="volume"),
            Fact("child", f"tiles where parent_id <> 0 and {NEW}", id="parent_id", volume="volume"),
            Fact("result", f"results where {NEW}"),
            Fact("certificate", f"certificate where {NEW}"),
            Fact("kept", f"done where active <> 0 and {NEW}", promised=PROMISED),
            Fact("replaced", f"{gone} and refine + deepen > 0", promised=PROMISED),
            Fact("retired", f"{gone} and refine + deepen = 0", promised=PROMISED),
            Fact("earlier", f"tiles where {EARLIER} and {USED}", volume="volume"),
            Fact("done_earlier", f"done where {EARLIER} and {USED}"),
        ]
        begun = "coordinations where kind = 'certify'"
        wrong = [
            "root + born + earlier <> 1",
            "unlike > 0",
            "result + retired <> root + born",
            "kept + replaced + retired + done_earlier > 1",
            "child <> promised",
            "child > 0 and kept > 0",
            GAP,
            "certificate > result",
            "certificate > 0 and replaced + retired > 0",
            f"certificate < result and replaced + retired = 0 and (select count(*) from {begun}) > 0",
        ]
        sums = {
            "certified": "1",
            "region": volume_of("root > 0"),
            "covered": f"{volume_of('root + born > 0')} - {volume_of('promised > 0 and kept = 0')}",
            "seen_tiles": total("root + born"),
            "seen_results": total("result"),
            "seen_certificate": total("certificate"),
            "seen_done": total("kept + replaced + retired"),
        }
        return [
            row("wrong ids", number_of(wrong), by_id(facts), sums),
            row("wrong results", "count(*)", differing(schema, ["results"], "tiles")),
            row("wrong certificate", "count(*)", differing(schema, ["certificate"], "tiles", except_for=PLACED_KEY)),
            step_rows({"n_tiles": "tiles", "n_done": "done"}),
            row("certifying", "count(*)", begun),
            row("next", "count(*)", "coordinations"),
            *(row(name, "count(*)", name) for name in COUNTED),
        ]

    @override
    def accepted(self, found: pd.Series, sums: pd.Series, earlier: Checked) -> Checked | None:
        seen = {name: earlier.rows.get(name, 0) + int(sums[f"seen_{name}"]) for name in COUNTED}
        if any(found[name] != seen[name] for name in COUNTED):
            return None
        if earlier.coordination and (found["certifying"] or seen["certificate"]):  # of tiles that were checked before
            return None
        region, covered = (getattr(earlier, name) + float(sums[name]) for name in ("region", "covered"))
        return Checked(int(found["next"]), seen, region, covered)
