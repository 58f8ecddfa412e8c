"""Whether all relations hold, in one query: a ledger of what the tables say of each id.

The ledger is stricter than the relations of `_sql_relations` and names no ids: it accepts only a job whose steps are
all finished. Every broken relation makes it reject, so a job that it accepts is sound. A job that it rejects has to be
checked relation by relation.

A job with tiles can be checked from where an earlier check accepted it. That suffices because rows never change: new
rows agree with each other, the ids that they use are looked up in the earlier rows, and a table has no rows but those
that were seen then and now. The cost of such a check grows with the new rows and hardly with the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd

from adagrid.stores._sql_relations import repeated_columns
from adagrid.stores.layout import VOLUME_TOLERANCE, Checked
from adagrid.stores.schema import Schema
from adagrid.stores.tables import STEP_KEY, Table

NEW, EARLIER = "coordination_id >= :since", "coordination_id < :since"
STEP = ", ".join(STEP_KEY)
# Tables of a job with tiles whose rows are counted: as many must be there as were seen.
COUNTED: Sequence[Table] = ("tiles", "results", "certificate", "done", "steps")
_SUMS = ("certified", "region", "covered", *(f"seen_{name}" for name in COUNTED))
# What new rows use of earlier ones: a tile that has new children is in the new rows of `done`, or else rejected.
USED = f"id in (select id from tiles where {NEW} union all select id from done where {NEW})"
PROMISED = "refine + deepen + split"
GAP = "child > 0 and abs(inside - whole) > :tolerance * whole"


def ledger(schema: Schema) -> str:
    """Return the query whose rows `accepted` understands; it asks for :since and :tolerance."""
    return " union all ".join([*schema.layout.ledger(schema), *_common()])


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
    return schema.layout.accepted(found, sums, earlier)


@final
@dataclass(frozen=True)
class Fact:
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


def _common() -> list[str]:
    """What holds for jobs of any method."""
    unknown = "coordination_id not in (select coordination_id from coordinations)"
    numbered = "count(distinct coordination_id) = count(*) and (count(*) = 0 or max(coordination_id) + 1 = count(*))"
    return [
        row("wrong coordinations", f"case when {numbered} then 0 else 1 end", "coordinations"),
        row("wrong steps of no coordination", "count(*)", f"steps where {unknown}"),
    ]


def row(what: str, n: str, rows: str, sums: Mapping[str, str] | None = None) -> str:
    """Return the query for one row of the answer: a number of rows, and sums over them."""
    zero = {"region": "0.0", "covered": "0.0"}
    listed = ", ".join(f"{(sums or {}).get(name, zero.get(name, '0'))} as {name}" for name in _SUMS)
    return f"select '{what}' as what, {n} as n, {listed} from {rows}"


def by_id(facts: Sequence[Fact]) -> str:
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


def number_of(conditions: Sequence[str]) -> str:
    """Return the number of ids that meet any of some conditions."""
    return total(f"case when {' or '.join(f'({each})' for each in conditions)} then 1 else 0 end")


def volume_of(condition: str) -> str:
    """Return the volume of all ids that meet a condition."""
    return f"coalesce(sum(case when {condition} then whole else 0.0 end), 0.0)"


def total(number: str) -> str:
    return f"coalesce(sum({number}), 0)"


def differing(schema: Schema, copies: Sequence[Table], original: Table, *, except_for: Sequence[str] = ("id",)) -> str:
    """Return the new rows of tables that differ from those of another with the same id."""
    columns = repeated_columns(schema, original, except_for)
    listed, others = ", ".join(["id", *columns]), ", ".join(f"{name} as original_{name}" for name in columns)
    rows = " union all ".join(f"select {listed} from {copy} where {NEW}" for copy in copies)
    differ = " or ".join(f"copies.{name} <> originals.original_{name}" for name in columns)
    return f"""({rows}) as copies
        inner join (select id as original_id, {others} from {original} where {NEW}) as originals
        on copies.id = originals.original_id where {differ}"""


def step_rows(counts: Mapping[str, Table]) -> str:
    """Return the row for new steps that are not finished once, or say other numbers of rows than there are."""
    names = [*counts, *counts.values()]

    def part(rows: str, finished: int, values: Mapping[str, str]) -> str:
        listed = ", ".join(f"{values.get(name, '0')} as {name}" for name in names)
        return f"select {STEP}, {finished} as finished, {listed} from {rows} where {NEW}"

    parts = [part("steps", 1, {name: name for name in counts})]
    parts += [part(name, 0, {name: "1"}) for name in counts.values()]
    summed = ", ".join(f"sum({name}) as {name}" for name in ["finished", *names])
    steps = f"(select {STEP}, {summed} from ({' union all '.join(parts)}) as said group by {STEP}) as steps_ledger"
    wrong = ["finished <> 1", *(f"{said} <> {there}" for said, there in counts.items())]
    return row("wrong steps", number_of(wrong), steps, {"seen_steps": total("finished")})
