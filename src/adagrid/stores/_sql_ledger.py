"""Whether all relations hold, in one query: a ledger of what the tables say of each id.

The ledger is stricter than the relations of `_sql_relations` and names no ids: it accepts only a job whose steps are
all finished. Every broken relation makes it reject, so a job that it accepts is sound. A job that it rejects has to be
checked relation by relation.

A classic job can be checked from where an earlier check accepted it. That suffices because rows never change: new rows
agree with each other, the ids that they use are looked up in the earlier rows, and a table has no rows but those that
were seen then and now. The cost of such a check grows with the new rows and hardly with the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd

from adagrid.stores._sql_relations import repeated_columns, unlike_box
from adagrid.stores.base import VOLUME_TOLERANCE, Checked
from adagrid.stores.schema import KEYS, Schema, Table

_NEW, _EARLIER = "coordination_id >= :since", "coordination_id < :since"
_STEP = ", ".join(KEYS["steps"])
# Tables of a classic job whose rows are counted: as many must be there as were seen.
_COUNTED: Sequence[Table] = ("tiles", "results", "certificate", "done", "steps")
_SUMS = ("certified", "region", "covered", *(f"seen_{name}" for name in _COUNTED))
# What new rows use of earlier ones: a tile that has new children is in the new rows of `done`, or else rejected.
_USED = f"id in (select id from tiles where {_NEW} union all select id from done where {_NEW})"
_PROMISED = "refine + deepen + split"
_GAP = "child > 0 and abs(inside - whole) > :tolerance * whole"


def ledger(schema: Schema) -> str:
    """Return the query whose rows `accepted` understands; it asks for :since and :tolerance."""
    method = _classic if schema.method == "classic" else _interpolated
    return " union all ".join([*method(schema), *_common()])


def accepted(rows: pd.DataFrame, schema: Schema, earlier: Checked) -> Checked | None:
    """Return how far a job is checked if its ledger says so; None if the ledger rejects it.

    Args:
        rows: what the query found.
        schema: the job's.
        earlier: how far the job was checked before.
    """
    found, sums = rows.set_index("what")["n"].astype(float), rows[[*_SUMS]].sum()
    if found.filter(like="wrong").any():
        return None
    region, covered = earlier.region + float(sums["region"]), earlier.covered + float(sums["covered"])
    if sums["certified"] and not abs(region - covered) <= VOLUME_TOLERANCE * region:
        return None
    if schema.method == "interpolated":
        return Checked()
    seen = {name: earlier.rows.get(name, 0) + int(sums[f"seen_{name}"]) for name in _COUNTED}
    if any(found[name] != seen[name] for name in _COUNTED):
        return None
    if earlier.coordination and (found["certifying"] or seen["certificate"]):  # of tiles that were checked before
        return None
    return Checked(int(found["next"]), seen, region, covered)


@final
@dataclass(frozen=True)
class _Fact:
    """Rows that say something of ids.

    Args:
        role: what they say.
        rows: a table, and a condition.
        id: the column of the ids.
        promised: how many children the ids should have.
        volume: the volume of the ids, or of their children.
    """

    role: str
    rows: str
    id: str = "id"
    promised: str = "0"
    volume: str = "0.0"


def _classic(schema: Schema) -> list[str]:
    gone = f"done where active = 0 and {_NEW}"
    facts = [
        _Fact("root", f"tiles where parent_id = 0 and {_NEW}", volume="volume"),
        _Fact("unlike", f"({unlike_box(schema)} and {_NEW}) as boxes"),
        _Fact("born", f"tiles where parent_id <> 0 and {_NEW}", volume="volume"),
        _Fact("child", f"tiles where parent_id <> 0 and {_NEW}", id="parent_id", volume="volume"),
        _Fact("result", f"results where {_NEW}"),
        _Fact("certificate", f"certificate where {_NEW}"),
        _Fact("kept", f"done where active <> 0 and {_NEW}", promised=_PROMISED),
        _Fact("replaced", f"{gone} and refine + deepen > 0", promised=_PROMISED),
        _Fact("retired", f"{gone} and refine + deepen = 0", promised=_PROMISED),
        _Fact("earlier", f"tiles where {_EARLIER} and {_USED}", volume="volume"),
        _Fact("done_earlier", f"done where {_EARLIER} and {_USED}"),
    ]
    begun = "coordinations where kind = 'certify'"
    wrong = [
        "root + born + earlier <> 1",
        "unlike > 0",
        "result + retired <> root + born",
        "kept + replaced + retired + done_earlier > 1",
        "child <> promised",
        "child > 0 and kept > 0",
        _GAP,
        "certificate > result",
        "certificate > 0 and replaced + retired > 0",
        f"certificate < result and replaced + retired = 0 and (select count(*) from {begun}) > 0",
    ]
    sums = {
        "certified": "1",
        "region": _volume_of("root > 0"),
        "covered": f"{_volume_of('root + born > 0')} - {_volume_of('promised > 0 and kept = 0')}",
        "seen_tiles": _sum("root + born"),
        "seen_results": _sum("result"),
        "seen_certificate": _sum("certificate"),
        "seen_done": _sum("kept + replaced + retired"),
    }
    return [
        _row("wrong ids", _number_of(wrong), _by_id(facts), sums),
        _row("wrong results", "count(*)", _unlike(schema, ["results"], "tiles")),
        _row("wrong certificate", "count(*)", _unlike(schema, ["certificate"], "tiles", except_for=KEYS["tiles"])),
        _steps({"n_tiles": "tiles", "n_done": "done"}),
        _row("certifying", "count(*)", begun),
        _row("next", "count(*)", "coordinations"),
        *(_row(name, "count(*)", name) for name in _COUNTED),
    ]


def _interpolated(schema: Schema) -> list[str]:
    started = "coordination_id in (select coordination_id from coordinations where kind = 'pass')"
    cells = [
        _Fact("root", "tiles where parent_id = 0", volume="volume"),
        _Fact("unlike", f"({unlike_box(schema)} and {_NEW}) as boxes"),
        _Fact("born", "tiles where parent_id <> 0", volume="volume"),
        _Fact("cell", "cells", volume="volume"),
        _Fact("child", "tiles where parent_id <> 0", id="parent_id", volume="volume"),
        _Fact("child", "cells", id="parent_id", volume="volume"),
        _Fact("certificate", "certificate"),
        _Fact("kept", "done where active <> 0", promised=_PROMISED),
        _Fact("gone", "done where active = 0", promised=_PROMISED),
    ]
    points = [
        _Fact("of_pass", f"points where {started}"),
        _Fact("of_pilot", f"points where not ({started})"),
        _Fact("pilot", "pilot"),
        _Fact("vertex", "vertices"),
        *(_Fact("used", "cells", id=f"point{i}") for i in range(schema.dim + 1)),
    ]
    wrong = [
        "root + born + cell <> 1",
        "unlike > 0",
        "certificate <> cell",
        "kept + gone > 1",
        "child <> promised",
        "child > 0 and kept > 0",
        _GAP,
    ]
    wrong_points = [
        "of_pass + of_pilot <> 1",
        "pilot + vertex <> 1",
        "used = 0 and of_pass > 0",
        "used > 0 and (of_pass = 0 or vertex = 0)",
    ]
    sums = {
        "certified": _sum("certificate"),
        "region": _volume_of("root > 0"),
        "covered": _volume_of("(cell > 0 and gone = 0) or (cell = 0 and gone > 0 and promised = 0)"),
    }
    return [
        _row("wrong ids", _number_of(wrong), _by_id(cells), sums),
        _row("wrong points", _number_of(wrong_points), _by_id(points)),
        _row("wrong pilot or vertices", "count(*)", _unlike(schema, ["pilot", "vertices"], "points")),
        _row("wrong certificate", "count(*)", _unlike(schema, ["certificate"], "cells")),
        _steps({"n_tiles": "points"}),
    ]


def _common() -> list[str]:
    """What holds for jobs of either method."""
    unknown = "coordination_id not in (select coordination_id from coordinations)"
    numbered = "count(distinct coordination_id) = count(*) and (count(*) = 0 or max(coordination_id) + 1 = count(*))"
    return [
        _row("wrong coordinations", f"case when {numbered} then 0 else 1 end", "coordinations"),
        _row("wrong steps of no coordination", "count(*)", f"steps where {unknown}"),
    ]


def _row(what: str, n: str, rows: str, sums: Mapping[str, str] | None = None) -> str:
    """Return the query for one row of the answer: a number of rows, and sums over them."""
    zero = {"region": "0.0", "covered": "0.0"}
    listed = ", ".join(f"{(sums or {}).get(name, zero.get(name, '0'))} as {name}" for name in _SUMS)
    return f"select '{what}' as what, {n} as n, {listed} from {rows}"


def _by_id(facts: Sequence[_Fact]) -> str:
    """Return the query for one row per id: how often it has each role, its volume, and its children's.

    A role becomes a column; `whole` is the volume of the id, `inside` that of its children.
    """
    roles = list(dict.fromkeys(fact.role for fact in facts))
    said = " union all ".join(
        f"select {fact.id} as id, {roles.index(fact.role)} as role, {fact.promised} as promised, "
        f"{fact.volume} as volume from {fact.rows}"
        for fact in facts
    )
    counts = [f"count(case when role = {number} then 1 end) as {role}" for number, role in enumerate(roles)]
    if "child" in roles:
        of_child = f"role = {roles.index('child')}"
        counts += [
            "sum(promised) as promised",
            f"sum(case when {of_child} then volume else 0.0 end) as inside",
            f"sum(case when {of_child} then 0.0 else volume end) as whole",
        ]
    return f"(select id, {', '.join(counts)} from ({said}) as facts group by id) as ledger"


def _number_of(conditions: Sequence[str]) -> str:
    """Return the number of ids that meet any of some conditions."""
    return _sum(f"case when {' or '.join(f'({each})' for each in conditions)} then 1 else 0 end")


def _volume_of(condition: str) -> str:
    """Return the volume of all ids that meet a condition."""
    return f"coalesce(sum(case when {condition} then whole else 0.0 end), 0.0)"


def _sum(number: str) -> str:
    return f"coalesce(sum({number}), 0)"


def _unlike(schema: Schema, copies: Sequence[Table], original: Table, *, except_for: Sequence[str] = ("id",)) -> str:
    """Return the new rows of tables that differ from those of another with the same id."""
    columns = repeated_columns(schema, original, except_for)
    listed, others = ", ".join(["id", *columns]), ", ".join(f"{name} as original_{name}" for name in columns)
    rows = " union all ".join(f"select {listed} from {copy} where {_NEW}" for copy in copies)
    differ = " or ".join(f"copies.{name} <> originals.original_{name}" for name in columns)
    return f"""({rows}) as copies
        inner join (select id as original_id, {others} from {original} where {_NEW}) as originals
        on copies.id = originals.original_id where {differ}"""


def _steps(counts: Mapping[str, Table]) -> str:
    """Return the row for new steps that are not finished once, or say other numbers of rows than there are."""
    names = [*counts, *counts.values()]

    def part(rows: str, finished: int, values: Mapping[str, str]) -> str:
        listed = ", ".join(f"{values.get(name, '0')} as {name}" for name in names)
        return f"select {_STEP}, {finished} as finished, {listed} from {rows} where {_NEW}"

    parts = [part("steps", 1, {name: name for name in counts})]
    parts += [part(name, 0, {name: "1"}) for name in counts.values()]
    summed = ", ".join(f"sum({name}) as {name}" for name in ["finished", *names])
    steps = f"(select {_STEP}, {summed} from ({' union all '.join(parts)}) as said group by {_STEP}) as steps_ledger"
    wrong = ["finished <> 1", *(f"{said} <> {there}" for said, there in counts.items())]
    return _row("wrong steps", _number_of(wrong), steps, {"seen_steps": _sum("finished")})
