"""The relations between a job's tables, in plain data frames.

They are the readable model that the queries of `_sql_relations` are tested against, relation by relation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from adagrid._typing import IdArray
from adagrid.stores.base import NAMED, VOLUME_TOLERANCE, Schema, Table
from adagrid.stores.schema import INCIDENTAL, KEYS

Frames: TypeAlias = Mapping[Table, pd.DataFrame]
Culprits: TypeAlias = Mapping[str, Any]
"""Offending ids for every relation, by the relation in words."""

_STEP = list(KEYS["steps"])
# What tells zones apart: each coordination deals them anew.
_ZONE = ("coordination_id", "zone_id")


def violations(tables: Frames, schema: Schema) -> Mapping[str, IdArray]:
    """Return the relations that do not hold, each with its first offending ids."""
    if schema.method == "classic":
        return _broken(_classic(tables, schema)) or _broken(_classic_coverage(tables))
    return _broken(_interpolated(tables, schema)) or _broken(_interpolated_coverage(tables))


def inactive(done: pd.DataFrame) -> pd.Series:
    """Return the ids of what was replaced, split or pruned."""
    return done["id"][done["active"] == 0]


def retired(done: pd.DataFrame) -> pd.Series:
    """Return the ids of tiles that were split or pruned: they are never simulated."""
    return done["id"][(done["active"] == 0) & (done["refine"] + done["deepen"] == 0)]


def _broken(relations: Culprits) -> Mapping[str, IdArray]:
    return {name: np.unique(np.asarray(ids, np.uint64))[:NAMED] for name, ids in relations.items() if len(ids)}


def _classic(tables: Frames, schema: Schema) -> Culprits:
    tiles, results, done, certificate = (tables[name] for name in ("tiles", "results", "done", "certificate"))
    finished, active = tiles[_finished(tables, tiles)], _without(results, inactive(done))
    return {
        **_common(tables, schema),
        **_once(tables, "tiles", "results", "certificate", "done"),
        "every tile of a finished step has a result, unless it was split or pruned": _lacking(
            _without(finished, retired(done)), results["id"]
        ),
        "a tile that was split or pruned has no result": results["id"][results["id"].isin(retired(done))],
        "every result has its tile": _lacking(results, tiles["id"]),
        "every row of done has its tile": _lacking(done, tiles["id"]),
        "every parent is a tile": _lacking(_children(tiles), tiles["id"], column="parent_id"),
        "a parent is in done, replaced": _lacking(_children(finished), inactive(done), column="parent_id"),
        "an active tile has no children": active["id"][active["id"].isin(finished["parent_id"])],
        **_families(tables, "tiles"),
        **_repeats(tables, schema, "results", "tiles"),
        **_repeats(tables, schema, "certificate", "tiles", except_for=KEYS["tiles"]),
        "every certified tile is active": _lacking(certificate, active["id"]),
        "every active tile is certified at the end of certification": _lacking(
            active[: len(active) if _certification_has_ended(tables) else 0], certificate["id"]
        ),
        **_steps(tables, "n_tiles", "tiles"),
        **_steps(tables, "n_done", "done"),
    }


def _classic_coverage(tables: Frames) -> Culprits:
    tiles, results, done = tables["tiles"], tables["results"], tables["done"]
    active = _without(tiles[tiles["id"].isin(results["id"])], inactive(done))
    gap = _finished(tables, tiles).all() and _leaves_gaps(tables, active)
    return {"active and pruned tiles cover the region exactly": [0] if gap else []}


def _interpolated(tables: Frames, schema: Schema) -> Culprits:
    tiles, points, pilot, vertices, cells, certificate, done, coordinations = (
        tables[name]
        for name in ("tiles", "points", "pilot", "vertices", "cells", "certificate", "done", "coordinations")
    )
    number, replaced = coordinations["coordination_id"], inactive(done)
    of_passes = points[points["coordination_id"].isin(number[coordinations["kind"] == "pass"])]
    begun = cells[_begun(tables, cells)]
    in_force, settled = _without(certificate, replaced), certificate[_settled(tables)]
    simulated, family = pd.concat([pilot["id"], vertices["id"]]), pd.concat([tiles["id"], cells["id"]])
    corners = [f"point{i}" for i in range(schema.dim + 1)]
    return {
        **_common(tables, schema),
        **_once(tables, "tiles", "points", "pilot", "vertices", "cells", "certificate", "done"),
        "every point of a finished step was simulated": _lacking(points[_finished(tables, points)], simulated),
        "every row of pilot has its point": _lacking(pilot, points["id"]),
        "every row of vertices has its point": _lacking(vertices, points["id"]),
        "no point is in pilot and in vertices": pilot["id"][pilot["id"].isin(vertices["id"])],
        **_repeats(tables, schema, "pilot", "points"),
        **_repeats(tables, schema, "vertices", "points"),
        "every point of a pass is a vertex of a cell": _without(of_passes, cells[corners].to_numpy().ravel())["id"],
        "every vertex of a cell is a point of a pass": pd.concat(
            [_lacking(begun, of_passes["id"], column=corner) for corner in corners]
        ),
        "every vertex of a certified cell was simulated": pd.concat(
            [_lacking(certificate, vertices["id"], column=corner) for corner in corners]
        ),
        "every certified cell was planned": _lacking(certificate, cells["id"]),
        "every cell of a coordination before the last is certified": _lacking(
            cells[cells["coordination_id"] < number.max()], certificate["id"]
        ),
        "what replaces a tile or cell is certified": _lacking(
            cells[cells["parent_id"].isin(replaced)], certificate["id"]
        ),
        **_repeats(tables, schema, "certificate", "cells"),
        "every row of done has its tile or cell": _lacking(done, family),
        "every parent is a tile or a cell": pd.concat(
            [_lacking(rows, family, column="parent_id") for rows in (_children(tiles), cells)]
        ),
        "a parent is in done, replaced": pd.concat(
            [
                _lacking(rows, replaced, column="parent_id")
                for rows in (_children(tiles[_begun(tables, tiles)]), settled)
            ]
        ),
        "a certified cell in force has no certified children": in_force["id"][
            in_force["id"].isin(settled["parent_id"])
        ],
        **_families(tables, "tiles", "cells"),
        **_steps(
            tables, "n_tiles", "points", zone=("zone_id",)
        ),  # one step a coordination, all finished before the next
    }


def _interpolated_coverage(tables: Frames) -> Culprits:
    cells, certificate = tables["cells"], tables["certificate"]
    planned = cells[_begun(tables, cells)]
    finished = len(certificate) > 0 and planned["id"].isin(certificate["id"]).all() and _settled(tables).all()
    gap = finished and _leaves_gaps(tables, _without(certificate, inactive(tables["done"])))
    return {"certified cells in force and pruned tiles cover the region exactly": [0] if gap else []}


def _common(tables: Frames, schema: Schema) -> Culprits:
    number, steps = tables["coordinations"]["coordination_id"], tables["steps"]
    roots = tables["tiles"][tables["tiles"]["parent_id"] == 0]
    box = (2 * roots[[f"radius{i}" for i in range(schema.dim)]]).prod(axis=1)
    return {
        "coordinations has each number once": number[number.duplicated()],
        "coordinations are numbered from 0 without gaps": number[(number > 0) & ~number.isin(number + 1)],
        "every step is of a coordination": steps["step_id"][~_begun(tables, steps)],
        "a tile that has no parent is as large as its box": roots["id"][
            (roots["volume"] - box).abs() > VOLUME_TOLERANCE * roots["volume"]
        ],
    }


def _once(tables: Frames, *names: Table) -> Culprits:
    return {f"{name} has each id once": tables[name]["id"][tables[name]["id"].duplicated()] for name in names}


def _without(rows: pd.DataFrame, ids: pd.Series | IdArray) -> pd.DataFrame:
    return rows[~rows["id"].isin(ids)]


def _lacking(rows: pd.DataFrame, ids: pd.Series, *, column: str = "id") -> pd.Series:
    """Return the ids of rows whose column holds none of some ids."""
    return rows["id"][~rows[column].isin(ids)]


def _children(tiles: pd.DataFrame) -> pd.DataFrame:
    return tiles[tiles["parent_id"] != 0]


def _finished(tables: Frames, rows: pd.DataFrame) -> Any:
    """Return which rows are of finished steps: later ones may be incomplete without anything being wrong."""
    return pd.MultiIndex.from_frame(rows[_STEP]).isin(pd.MultiIndex.from_frame(tables["steps"][_STEP]))


def _begun(tables: Frames, rows: pd.DataFrame) -> pd.Series:
    """Return which rows are of coordinations that are begun: a plan that is being written may be incomplete."""
    return rows["coordination_id"].isin(tables["coordinations"]["coordination_id"])


def _settled(tables: Frames) -> pd.Series:
    """Return which cells have been certified and their parents, since engines write one after the other, replaced."""
    certificate, last = tables["certificate"], tables["coordinations"]["coordination_id"].max()
    begun = certificate["coordination_id"]
    return (begun < last) | begun.isin(tables["done"]["coordination_id"])


def _certification_has_ended(tables: Frames) -> bool:
    """Return whether every zone has finished the last coordination, and that certifies."""
    steps, coordinations = tables["steps"], tables["coordinations"]
    last = coordinations[coordinations["coordination_id"] == coordinations["coordination_id"].max()]
    zones = steps["zone_id"][steps["coordination_id"].isin(last["coordination_id"])].nunique()
    return bool(((last["kind"] == "certify") & (last["n_zones"] == zones)).any())


def _repeats(
    tables: Frames, schema: Schema, copy: Table, original: Table, *, except_for: Sequence[str] = ("id",)
) -> Culprits:
    """Rows of one table have the same values as those of another with the same id."""
    columns = [name for name in schema.tables[original] if name not in (*except_for, *INCIDENTAL)]
    both = pd.concat([tables[name][["id", *columns]] for name in (original, copy)])
    distinct = both.drop_duplicates()["id"]
    return {f"{copy} repeats the columns of {original}": distinct[distinct.duplicated()]}


def _families(tables: Frames, *names: Table) -> Culprits:
    """What is in done has its children in some tables, as many as promised; together they are as large as it."""
    done = tables["done"]
    family = pd.concat([tables[name][["id", "parent_id", "volume"]] for name in names])
    children = _children(family).groupby("parent_id")["volume"].agg(["size", "sum"])
    promised = done[["refine", "deepen", "split"]].sum(axis=1).groupby(done["id"]).sum()
    born = children["size"].reindex(promised.index, fill_value=0)
    whole = family.groupby("id")["volume"].sum().reindex(children.index, fill_value=0.0)
    gap = (children["sum"] - whole).abs() > VOLUME_TOLERANCE * whole
    return {
        "there are as many children as done says": promised.index[born != promised],
        "children cover their parent": children.index[gap & children.index.isin(inactive(done))],
    }


def _steps(tables: Frames, column: str, name: Table, zone: Sequence[str] = _ZONE) -> Culprits:
    """A finished step wrote as many rows as it says.

    Only rows of a zone's newest step in the last coordination may be of a step that is not finished.
    """
    steps = tables["steps"]
    counts = {
        "finished": steps.groupby(_STEP).size(),
        "said": steps.groupby(_STEP)[column].sum(),
        "found": tables[name].groupby(_STEP).size(),
    }
    places = pd.DataFrame(counts).fillna(0).reset_index()
    finished, step = places["finished"] > 0, places["step_id"]
    last = step.where(finished).groupby([places[part] for part in zone]).transform("max")
    differs = (places["said"] != places["found"]) | (places["finished"] > 1)
    earlier = (step < last) | (places["coordination_id"] < tables["coordinations"]["coordination_id"].max())
    return {f"steps counts the rows of {name}": step[np.where(finished, differs, earlier).astype(bool)]}


def _leaves_gaps(tables: Frames, active: pd.DataFrame) -> bool:
    """Return whether the volumes of what is active and of pruned tiles do not sum to those of the roots."""
    tiles, done = tables["tiles"], tables["done"]
    childless = (done["active"] == 0) & (done[["refine", "deepen", "split"]].sum(axis=1) == 0)
    pruned = tiles[tiles["id"].isin(done["id"][childless])]
    region = tiles["volume"][tiles["parent_id"] == 0].sum()
    return bool(abs(region - active["volume"].sum() - pruned["volume"].sum()) > VOLUME_TOLERANCE * region)
