"""The relations between a job's tables, in plain arrays.

They are the readable model that the queries of `_sql_relations` are tested against, relation by relation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias, final

import numpy as np
import pandas as pd

from adagrid._typing import Array, BoolArray, IdArray
from adagrid.stores.layout import VOLUME_TOLERANCE
from adagrid.stores.schema import Schema
from adagrid.stores.store import NAMED
from adagrid.stores.tables import INCIDENTAL, PLACED_KEY, STEP_KEY, Table


@final
class Rows:
    """Rows of a table: arrays by column, each made when a relation first needs it.

    Args:
        column: returns the array of a column.
    """

    def __init__(self, column: Callable[[str], Array]) -> None:
        self._column = cache(column)

    @staticmethod
    def of(frame: pd.DataFrame) -> Rows:
        """Return the rows of a data frame."""
        return Rows(lambda name: frame[name].to_numpy())

    def __getitem__(self, name: str) -> Array:
        return self._column(name)

    def where(self, chosen: BoolArray) -> Rows:
        """Return some of the rows."""
        return Rows(lambda name: self[name][chosen])


Frames: TypeAlias = Mapping[Table, Rows]
Culprits: TypeAlias = Mapping[str, IdArray]
"""Offending ids for every relation, by the relation in words."""

_STEP = tuple(STEP_KEY)
# What tells zones apart: each coordination deals them anew.
_ZONE = ("coordination_id", "zone_id")


def violations(frames: Mapping[Table, pd.DataFrame], schema: Schema) -> Mapping[str, IdArray]:
    """Return the relations that do not hold, each with its first offending ids."""
    tables = {name: Rows.of(frame) for name, frame in frames.items()}
    if schema.layout.name == "tiles":
        return _broken(_classic(tables, schema)) or _broken(_classic_coverage(tables))
    return _broken(_interpolated(tables, schema)) or _broken(_interpolated_coverage(tables))


def inactive(done: Any) -> Any:
    """Return the ids of what was replaced, split or pruned."""
    return done["id"][done["active"] == 0]


def retired(done: Any) -> Any:
    """Return the ids of tiles that were split or pruned: they are never simulated."""
    return done["id"][(done["active"] == 0) & (done["refine"] + done["deepen"] == 0)]


def _broken(relations: Culprits) -> Mapping[str, IdArray]:
    return {name: np.unique(ids.astype(np.uint64))[:NAMED] for name, ids in relations.items() if len(ids)}


def _classic(tables: Frames, schema: Schema) -> Culprits:
    tiles, results, done, certificate = (tables[name] for name in ("tiles", "results", "done", "certificate"))
    finished, active = tiles.where(_finished(tables, tiles)), _without(results, inactive(done))
    return {
        **_common(tables, schema),
        **_once(tables, "tiles", "results", "certificate", "done"),
        "every tile of a finished step has a result, unless it was split or pruned": _lacking(
            _without(finished, retired(done)), results["id"]
        ),
        "a tile that was split or pruned has no result": _among(results["id"], retired(done)),
        "every result has its tile": _lacking(results, tiles["id"]),
        "every row of done has its tile": _lacking(done, tiles["id"]),
        "every parent is a tile": _lacking(_children(tiles), tiles["id"], column="parent_id"),
        "a parent is in done, replaced": _lacking(_children(finished), inactive(done), column="parent_id"),
        "an active tile has no children": _among(active["id"], finished["parent_id"]),
        **_families(tables, "tiles"),
        **_repeats(tables, schema, "results", "tiles"),
        **_repeats(tables, schema, "certificate", "tiles", except_for=PLACED_KEY),
        "every certified tile is active": _lacking(certificate, active["id"]),
        "every active tile is certified at the end of certification": _lacking(
            active.where(np.full(len(active["id"]), _certification_has_ended(tables))), certificate["id"]
        ),
        **_steps(tables, "n_tiles", "tiles"),
        **_steps(tables, "n_done", "done"),
    }


def _classic_coverage(tables: Frames) -> Culprits:
    tiles, results, done = tables["tiles"], tables["results"], tables["done"]
    active = _without(tiles.where(np.isin(tiles["id"], results["id"])), inactive(done))
    gap = _finished(tables, tiles).all() and _leaves_gaps(tables, active)
    return {"active and pruned tiles cover the region exactly": np.zeros(int(gap), np.uint64)}


def _interpolated(tables: Frames, schema: Schema) -> Culprits:
    tiles, points, pilot, vertices, cells, certificate, done, coordinations = (
        tables[name]
        for name in ("tiles", "points", "pilot", "vertices", "cells", "certificate", "done", "coordinations")
    )
    number, replaced = coordinations["coordination_id"], inactive(done)
    of_passes = points.where(np.isin(points["coordination_id"], number[coordinations["kind"] == "pass"]))
    begun = cells.where(_begun(tables, cells))
    in_force, settled = _without(certificate, replaced), certificate.where(_settled(tables))
    simulated, family = np.append(pilot["id"], vertices["id"]), np.append(tiles["id"], cells["id"])
    corners = [f"point{i}" for i in range(schema.dim + 1)]
    return {
        **_common(tables, schema),
        **_once(tables, "tiles", "points", "pilot", "vertices", "cells", "certificate", "done"),
        "every point of a finished step was simulated": _lacking(points.where(_finished(tables, points)), simulated),
        "every row of pilot has its point": _lacking(pilot, points["id"]),
        "every row of vertices has its point": _lacking(vertices, points["id"]),
        "no point is in pilot and in vertices": _among(pilot["id"], vertices["id"]),
        **_repeats(tables, schema, "pilot", "points"),
        **_repeats(tables, schema, "vertices", "points"),
        "every point of a pass is a vertex of a cell": _lacking(
            of_passes, np.concatenate([cells[corner] for corner in corners])
        ),
        "every vertex of a cell is a point of a pass": np.concatenate(
            [_lacking(begun, of_passes["id"], column=corner) for corner in corners]
        ),
        "every vertex of a certified cell was simulated": np.concatenate(
            [_lacking(certificate, vertices["id"], column=corner) for corner in corners]
        ),
        "every certified cell was planned": _lacking(certificate, cells["id"]),
        "every cell of a coordination before the last is certified": _lacking(
            cells.where(cells["coordination_id"] < _last(tables)), certificate["id"]
        ),
        "what replaces a tile or cell is certified": _lacking(
            cells.where(np.isin(cells["parent_id"], replaced)), certificate["id"]
        ),
        **_repeats(tables, schema, "certificate", "cells"),
        "every row of done has its tile or cell": _lacking(done, family),
        "every parent is a tile or a cell": np.concatenate(
            [_lacking(rows, family, column="parent_id") for rows in (_children(tiles), cells)]
        ),
        "a parent is in done, replaced": np.concatenate(
            [
                _lacking(rows, replaced, column="parent_id")
                for rows in (_children(tiles.where(_begun(tables, tiles))), settled)
            ]
        ),
        "a certified cell in force has no certified children": _among(in_force["id"], settled["parent_id"]),
        **_families(tables, "tiles", "cells"),
        **_steps(
            tables, "n_tiles", "points", zone=("zone_id",)
        ),  # one step a coordination, all finished before the next
    }


def _interpolated_coverage(tables: Frames) -> Culprits:
    cells, certificate = tables["cells"], tables["certificate"]
    planned, certified = cells.where(_begun(tables, cells)), certificate["id"]
    finished = len(certified) > 0 and np.isin(planned["id"], certified).all() and _settled(tables).all()
    gap = finished and _leaves_gaps(tables, _without(certificate, inactive(tables["done"])))
    return {"certified cells in force and pruned tiles cover the region exactly": np.zeros(int(gap), np.uint64)}


def _common(tables: Frames, schema: Schema) -> Culprits:
    number, steps = tables["coordinations"]["coordination_id"], tables["steps"]
    roots = tables["tiles"].where(tables["tiles"]["parent_id"] == 0)
    box = np.prod([2 * roots[f"radius{i}"] for i in range(schema.dim)], axis=0)
    return {
        "coordinations has each number once": _more_than_once(number),
        "coordinations are numbered from 0 without gaps": number[(number > 0) & ~np.isin(number, number + 1)],
        "every step is of a coordination": steps["step_id"][~_begun(tables, steps)],
        "a tile that has no parent is as large as its box": roots["id"][
            np.abs(roots["volume"] - box) > VOLUME_TOLERANCE * roots["volume"]
        ],
    }


def _once(tables: Frames, *names: Table) -> Culprits:
    return {f"{name} has each id once": _more_than_once(tables[name]["id"]) for name in names}


def _more_than_once(numbers: Array) -> Array:
    each, count = np.unique(numbers, return_counts=True)
    return each[count > 1]


def _among(numbers: Array, others: Array) -> Array:
    return numbers[np.isin(numbers, others)]


def _without(rows: Rows, ids: IdArray) -> Rows:
    return rows.where(~np.isin(rows["id"], ids))


def _lacking(rows: Rows, ids: IdArray, *, column: str = "id") -> IdArray:
    """Return the ids of rows whose column holds none of some ids."""
    return rows["id"][~np.isin(rows[column], ids)]


def _children(tiles: Rows) -> Rows:
    return tiles.where(tiles["parent_id"] != 0)


def _last(tables: Frames) -> int:
    """Return the last coordination, -1 before the first."""
    return max(tables["coordinations"]["coordination_id"].tolist(), default=-1)


def _numbered(*parts: Rows) -> tuple[Array, list[Array]]:
    """Return the places of steps in all parts, each once, shape (places, 3), and for each part those of its rows."""
    places = np.concatenate([np.stack([rows[column] for column in _STEP], axis=1) for rows in parts])
    each, numbers = np.unique(places, axis=0, return_inverse=True)
    return each, np.split(numbers.reshape(-1), np.cumsum([len(rows[_STEP[0]]) for rows in parts])[:-1])


def _finished(tables: Frames, rows: Rows) -> BoolArray:
    """Return which rows are of finished steps: later ones may be incomplete without anything being wrong."""
    _, (of_rows, of_steps) = _numbered(rows, tables["steps"])
    return np.isin(of_rows, of_steps)


def _begun(tables: Frames, rows: Rows) -> BoolArray:
    """Return which rows are of coordinations that are begun: a plan that is being written may be incomplete."""
    return np.isin(rows["coordination_id"], tables["coordinations"]["coordination_id"])


def _settled(tables: Frames) -> BoolArray:
    """Return which cells have been certified and their parents, since engines write one after the other, replaced."""
    begun = tables["certificate"]["coordination_id"]
    return (begun < _last(tables)) | np.isin(begun, tables["done"]["coordination_id"])


def _certification_has_ended(tables: Frames) -> bool:
    """Return whether every zone has finished the last coordination, and that certifies."""
    steps, coordinations = tables["steps"], tables["coordinations"]
    last = coordinations.where(coordinations["coordination_id"] == _last(tables))
    zones = len(np.unique(steps["zone_id"][np.isin(steps["coordination_id"], last["coordination_id"])]))
    return bool(((last["kind"] == "certify") & (last["n_zones"] == zones)).any())


def _repeats(
    tables: Frames, schema: Schema, copy: Table, original: Table, *, except_for: Sequence[str] = ("id",)
) -> Culprits:
    """Rows of one table have the same values as those of another with the same id."""
    columns = [name for name in schema.tables[original] if name not in (*except_for, *INCIDENTAL)]
    both = {name: np.append(tables[original][name], tables[copy][name]) for name in ("id", *columns)}
    ids, first, same = np.unique(both["id"], return_index=True, return_inverse=True)
    unlike = np.any([both[name] != both[name][first][same] for name in columns], axis=0)
    return {f"{copy} repeats the columns of {original}": ids[same[unlike]]}


def _families(tables: Frames, *names: Table) -> Culprits:
    """What is in done has its children in some tables, as many as promised; together they are as large as it."""
    done = tables["done"]
    ids, parents, volume = (
        np.concatenate([tables[name][column] for name in names]) for column in ("id", "parent_id", "volume")
    )
    born = parents != 0
    each, number = np.unique(np.concatenate([ids, parents[born], done["id"]]), return_inverse=True)
    own, of_parent, of_done = np.split(number, [len(ids), len(ids) + born.sum()])
    total = partial(np.bincount, minlength=len(each))
    said = done["refine"].astype(float) + done["deepen"] + done["split"]
    children, promised = total(of_parent), total(of_done, said)
    whole, parts = total(own, volume), total(of_parent, volume[born])
    gap = (children > 0) & (np.abs(parts - whole) > VOLUME_TOLERANCE * whole)
    return {
        "there are as many children as done says": each[np.isin(each, done["id"]) & (children != promised)],
        "children cover their parent": each[gap & np.isin(each, inactive(done))],
    }


def _steps(tables: Frames, column: str, name: Table, zone: Sequence[str] = _ZONE) -> Culprits:
    """A finished step wrote as many rows as it says.

    Only rows of a zone's newest step in the last coordination may be of a step that is not finished.
    """
    places, (of_steps, of_rows) = _numbered(tables["steps"], tables[name])
    ends = np.bincount(of_steps, minlength=len(places))
    said = np.bincount(of_steps, tables["steps"][column], len(places))
    found = np.bincount(of_rows, minlength=len(places))
    finished, step = ends > 0, places[:, _STEP.index("step_id")]
    zones = np.unique(places[:, [_STEP.index(part) for part in zone]], axis=0, return_inverse=True)[1].reshape(-1)
    newest = np.full(len(places), -1)
    np.maximum.at(newest, zones[finished], step[finished])
    differs = (said != found) | (ends > 1)
    earlier = (step < newest[zones]) | (places[:, _STEP.index("coordination_id")] < _last(tables))
    return {f"steps counts the rows of {name}": step[np.where(finished, differs, earlier)]}


def _leaves_gaps(tables: Frames, active: Rows) -> bool:
    """Return whether the volumes of what is active and of pruned tiles do not sum to those of the roots."""
    tiles, done = tables["tiles"], tables["done"]
    childless = (done["active"] == 0) & (done["refine"] == 0) & (done["deepen"] == 0) & (done["split"] == 0)
    pruned = tiles.where(np.isin(tiles["id"], done["id"][childless]))
    region = tiles["volume"][tiles["parent_id"] == 0].sum()
    return bool(abs(region - active["volume"].sum() - pruned["volume"].sum()) > VOLUME_TOLERANCE * region)
