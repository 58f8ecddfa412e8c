"""The relations between a job's tables, as queries for the ids that break them.

Their texts keep to what every engine understands, as those of `adagrid.stores.sql` do. `adagrid.testing` has the
same relations for plain data frames.
"""

from __future__ import annotations

from collections.abc import Sequence

from adagrid.stores.layout import Queries
from adagrid.stores.schema import Schema
from adagrid.stores.tables import INCIDENTAL, Table

INACTIVE = "(select id from done where active = 0)"
# Split or pruned: never to be simulated.
RETIRED = "(select id from done where active = 0 and refine + deepen = 0)"
PRUNED = "(select id from done where active = 0 and refine + deepen + split = 0)"
# Rows of steps that are finished: later rows may be incomplete without anything being wrong.
FINISHED = "(coordination_id, zone_id, step_id) in (select coordination_id, zone_id, step_id from steps)"
# Rows of coordinations that are begun: a plan that is being written may be incomplete too.
BEGUN = "coordination_id in (select coordination_id from coordinations)"
LAST = "(select max(coordination_id) from coordinations)"
# Certified cells whose parents are said to be replaced: engines without transactions write that a moment later.
SETTLED = f"(coordination_id < {LAST} or coordination_id in (select coordination_id from done))"
# Rows that some engine stored twice count once.
STEPS = """count(*) as n from (
    select coordination_id, zone_id, step_id from steps group by coordination_id, zone_id, step_id) as steps"""
# What identifies a zone: each coordination deals them anew.
_ZONE = ("coordination_id", "zone_id")
# Certifying coordinations in which every zone has finished.
CERTIFIED = """
    select coordination_id from (
        select coordination_id, n_zones as asked, 0 as finished from coordinations where kind = 'certify'
        union all select coordination_id, 0 as asked, count(distinct zone_id) as finished
        from steps group by coordination_id
    ) as zones group by coordination_id having max(asked) = max(finished)"""


def relations(schema: Schema) -> Queries:
    """Return the relations that hold whenever a job is looked at."""
    return {**_common(schema), **schema.layout.relations(schema)}


def _common(schema: Schema) -> Queries:
    """What holds for jobs of any method."""
    return {
        "coordinations has each number once": """
            select coordination_id as id from coordinations group by coordination_id having count(*) > 1""",
        # adding 0 gives both sides the same type
        "coordinations are numbered from 0 without gaps": """
            select coordination_id as id from coordinations
            where coordination_id > 0 and coordination_id + 0 not in (select coordination_id + 1 from coordinations)""",
        "every step is of a coordination": f"select step_id as id from steps where not ({BEGUN})",
        "a tile that has no parent is as large as its box": unlike_box(schema),
    }


def unlike_box(schema: Schema) -> str:
    """Return the query for tiles without a parent that are not as large as their boxes."""
    box = " * ".join(f"2 * radius{i}" for i in range(schema.dim))
    return f"select id from tiles where parent_id = 0 and abs(volume - {box}) > :tolerance * volume"


def repeated_columns(schema: Schema, original: Table, except_for: Sequence[str] = ("id",)) -> Sequence[str]:
    """Return the columns of a table that another table repeats."""
    return [name for name in schema.tables[original] if name not in (*except_for, *INCIDENTAL)]


def once(*names: Table) -> Queries:
    return {f"{name} has each id once": f"select id from {name} group by id having count(*) > 1" for name in names}


def lacking(name: Table, *others: Table, column: str = "id", where: str = "1 = 1") -> str:
    """Return the query for rows of a table whose column holds no id of other tables."""
    absent = " and ".join(f"{column} not in (select id from {other})" for other in others)
    return f"select id from {name} where {where} and {absent}"


def outside(columns: Sequence[str], rows: str) -> str:
    """Return the condition that some column holds no id of other rows."""
    return " or ".join(f"{column} not in (select id from {rows})" for column in columns)


def repeats(schema: Schema, copy: Table, original: Table, *, except_for: Sequence[str] = ("id",)) -> Queries:
    """Rows of one table have the same values as those of another with the same id."""
    columns = repeated_columns(schema, original, except_for)
    listed = ", ".join(["id", *columns])
    differ = " or ".join(f"min({name}) <> max({name})" for name in columns)
    both = f"select {listed} from {original} union all select {listed} from {copy}"
    return {f"{copy} repeats the columns of {original}": f"select id from ({both}) as rows group by id having {differ}"}


def families(*names: Table) -> Queries:
    """What is in done has its children in some tables, as many as promised; together they are as large as it."""
    born = " union all ".join(
        f"select parent_id as id, count(*) as n, 0 as promised from {name} group by parent_id" for name in names
    )
    volumes = " union all ".join(
        f"""select parent_id as id, volume as inside, 0.0 as whole, 1 as child from {name} where parent_id <> 0
            union all select id, 0.0 as inside, volume as whole, 0 as child from {name}"""
        for name in names
    )
    return {
        "there are as many children as done says": f"""
            select id from (
                {born} union all select id, 0 as n, refine + deepen + split as promised from done
            ) as families where id <> 0 and id in (select id from done)
            group by id having sum(n) <> sum(promised)""",
        "children cover their parent": f"""
            select id from ({volumes}) as families where id in {INACTIVE}
            group by id having max(child) = 1 and abs(sum(inside) - sum(whole)) > :tolerance * sum(whole)""",
    }


def steps(column: str, name: Table, zone: Sequence[str] = _ZONE) -> Queries:
    """A finished step wrote as many rows as it says.

    Only rows of a zone's newest step in the last coordination may be of a step that is not finished.
    """
    place, own = "coordination_id, zone_id, step_id", ", ".join(zone)
    same = " and ".join(f"places.{part} = zones.{part}" for part in zone)
    return {
        f"steps counts the rows of {name}": f"""
            select places.step_id as id from (
                select {place}, sum(finished) as finished, sum(said) as said, sum(found) as found from (
                    select {place}, 1 as finished, {column} as said, 0 as found from steps
                    union all select {place}, 0 as finished, 0 as said, 1 as found from {name}
                ) as rows group by {place}
            ) as places left join (
                select {own}, max(step_id) as last from steps group by {own}
            ) as zones on {same}
            where finished > 1 or (finished = 1 and said <> found)
            or (finished = 0 and (places.step_id < zones.last or places.coordination_id < {LAST}))"""
    }


def covered(active: str, when: str) -> str:
    """Return the query that finds 0 if a condition holds and volumes do not sum to those of the roots."""
    return f"""
        select 0 as id from (
            select sum(whole) as whole, sum(covered) as covered from (
                select volume as whole, 0.0 as covered from tiles where parent_id = 0
                union all select 0.0 as whole, volume as covered from {active}
                union all select 0.0 as whole, volume as covered from tiles where id in {PRUNED}
            ) as volumes
        ) as sums where abs(whole - covered) > :tolerance * whole and {when}"""
