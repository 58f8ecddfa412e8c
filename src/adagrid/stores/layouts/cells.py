"""The tables of methods that certify cells between simulated points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, final

import pandas as pd
from typing_extensions import override

from adagrid.grid.cells import cell_columns
from adagrid.grid.points import point_columns
from adagrid.grid.tiles import tile_columns
from adagrid.stores._sql_ledger import (
    GAP,
    NEW,
    PROMISED,
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
    BEGUN,
    FINISHED,
    INACTIVE,
    LAST,
    SETTLED,
    STEPS,
    covered,
    families,
    lacking,
    once,
    outside,
    repeats,
    steps,
    unlike_box,
)
from adagrid.stores.layout import Checked, Layout, Queries, WriteOrder
from adagrid.stores.tables import DESIGN, Columns, Table, placed

if TYPE_CHECKING:
    from adagrid.stores.schema import Schema


@final
class CellLayout(Layout):
    """The tables of methods that simulate points, and certify cells between them, one round per coordination.

    `points`         every point that a round asks for
    `pilot`          the columns of `points` and what simulation gave for those of pilots, which inform plans only
    `vertices`       the same for those of passes, which cells are certified from
    `cells`          every cell that a pass plans: a part of a tile or of a cell that it replaces
    `certificate`    the columns of `cells` and what is certified of them

    A round is begun by its row in `coordinations`, written after its points and cells. What a begun round has not
    finished yet is not wrong.
    """

    name = "cells"
    simulated = ("pilot", "vertices")
    extended = ("pilot", "vertices", "certificate")
    order = WriteOrder(
        {"pilot": ("pilot",), "pass": ("vertices",)},
        many_steps=False,
        endings={"pass": ("certificate", "done")},
        plans={"points": True, "cells": False},
    )
    counts: ClassVar = {
        "tiles": "count(distinct id) as n from cells",
        "results": "count(distinct id) as n from certificate",
        "active": f"count(distinct id) as n from certificate where id not in {INACTIVE}",
        "eligible": f"count(distinct id) as n from certificate where id not in {INACTIVE}",
        "steps": STEPS,
        "simulations": """coalesce(sum(n_sims), 0) as n from (
            select id, max(n_sims) as n_sims from pilot group by id
            union all select id, max(n_sims) as n_sims from vertices group by id) as simulated""",
        "pending": """count(distinct id) as n from points
            where id not in (select id from pilot) and id not in (select id from vertices)""",
        "points": "count(distinct id) as n from points",
    }

    @override
    def tables(self, dim: int, n_nulls: int, added: Mapping[Table, Columns]) -> Mapping[Table, Columns]:
        points, cells = placed(point_columns(dim, n_nulls)), placed(cell_columns(dim, n_nulls))
        return {
            "tiles": placed(tile_columns(dim, n_nulls)),
            "points": points,
            "pilot": {**points, **DESIGN, **added.get("pilot", {})},
            "vertices": {**points, **DESIGN, **added.get("vertices", {})},
            "cells": cells,
            "certificate": {**cells, **added.get("certificate", {})},
        }

    @override
    def relations(self, schema: Schema) -> Queries:
        vertices = [f"point{i}" for i in range(schema.dim + 1)]
        used = " union all ".join(f"select {vertex} as id from cells" for vertex in vertices)
        passes = "coordination_id in (select coordination_id from coordinations where kind = 'pass')"
        return {
            **once("tiles", "points", "pilot", "vertices", "cells", "certificate", "done"),
            "every point of a finished step was simulated": lacking("points", "pilot", "vertices", where=FINISHED),
            "every row of pilot has its point": lacking("pilot", "points"),
            "every row of vertices has its point": lacking("vertices", "points"),
            "no point is in pilot and in vertices": "select id from pilot where id in (select id from vertices)",
            **repeats(schema, "pilot", "points"),
            **repeats(schema, "vertices", "points"),
            "every point of a pass is a vertex of a cell": f"""
                select id from points where {passes} and id not in (select id from ({used}) as used)""",
            "every vertex of a cell is a point of a pass": f"""
                select id from cells where {BEGUN} and ({outside(vertices, f"points where {passes}")})""",
            "every vertex of a certified cell was simulated": f"""
                select id from certificate where {outside(vertices, "vertices")}""",
            "every certified cell was planned": lacking("certificate", "cells"),
            "every cell of a coordination before the last is certified": lacking(
                "cells", "certificate", where=f"coordination_id < {LAST}"
            ),
            "what replaces a tile or cell is certified": lacking(
                "cells", "certificate", where=f"parent_id in {INACTIVE}"
            ),
            **repeats(schema, "certificate", "cells"),
            "every row of done has its tile or cell": lacking("done", "tiles", "cells"),
            "every parent is a tile or a cell": f"""
                {lacking("tiles", "tiles", "cells", column="parent_id", where="parent_id <> 0")}
                union all {lacking("cells", "tiles", "cells", column="parent_id")}""",
            "a parent is in done, replaced": f"""
                select id from tiles where {BEGUN} and parent_id <> 0 and parent_id not in {INACTIVE}
                union all select id from certificate where {SETTLED} and parent_id not in {INACTIVE}""",
            "a certified cell in force has no certified children": f"""
                select id from certificate where id not in {INACTIVE}
                and id in (select parent_id from certificate where {SETTLED})""",
            **families("tiles", "cells"),
            **steps("n_tiles", "points", zone=("zone_id",)),  # one step a coordination, all finished before the next
        }

    @override
    def coverage(self, schema: Schema) -> Queries:
        uncertified = f"select count(*) from cells where {BEGUN} and id not in (select id from certificate)"
        unsettled = f"select count(*) from certificate where not {SETTLED}"
        finished = f"({uncertified}) = 0 and ({unsettled}) = 0 and (select count(*) from certificate) > 0"
        active = f"certificate where id not in {INACTIVE}"
        return {"certified cells in force and pruned tiles cover the region exactly": covered(active, finished)}

    @override
    def ledger(self, schema: Schema) -> Sequence[str]:
        started = "coordination_id in (select coordination_id from coordinations where kind = 'pass')"
        cells = [
            Fact("root", "tiles where parent_id = 0", volume="volume"),
            Fact("unlike", f"({unlike_box(schema)} and {NEW}) as boxes"),
            Fact("born", "tiles where parent_id <> 0", volume="volume"),
            Fact("cell", "cells", volume="volume"),
            Fact("child", "tiles where parent_id <> 0", id="parent_id", volume="volume"),
            Fact("child", "cells", id="parent_id", volume="volume"),
            Fact("certificate", "certificate"),
            Fact("kept", "done where active <> 0", promised=PROMISED),
            Fact("gone", "done where active = 0", promised=PROMISED),
        ]
        points = [
            Fact("of_pass", f"points where {started}"),
            Fact("of_pilot", f"points where not ({started})"),
            Fact("pilot", "pilot"),
            Fact("vertex", "vertices"),
            *(Fact("used", "cells", id=f"point{i}") for i in range(schema.dim + 1)),
        ]
        wrong = [
            "root + born + cell <> 1",
            "unlike > 0",
            "certificate <> cell",
            "kept + gone > 1",
            "child <> promised",
            "child > 0 and kept > 0",
            GAP,
        ]
        wrong_points = [
            "of_pass + of_pilot <> 1",
            "pilot + vertex <> 1",
            "used = 0 and of_pass > 0",
            "used > 0 and (of_pass = 0 or vertex = 0)",
        ]
        sums = {
            "certified": total("certificate"),
            "region": volume_of("root > 0"),
            "covered": volume_of("(cell > 0 and gone = 0) or (cell = 0 and gone > 0 and promised = 0)"),
        }
        return [
            row("wrong ids", number_of(wrong), by_id(cells), sums),
            row("wrong points", number_of(wrong_points), by_id(points)),
            row("wrong pilot or vertices", "count(*)", differing(schema, ["pilot", "vertices"], "points")),
            row("wrong certificate", "count(*)", differing(schema, ["certificate"], "cells")),
            step_rows({"n_tiles": "points"}),
        ]

    @override
    def accepted(self, found: pd.Series, sums: pd.Series, earlier: Checked) -> Checked | None:
        return Checked()
