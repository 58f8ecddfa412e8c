"""The contract of stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import pytest

from adagrid._typing import Array
from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores import Schema, Store, ZoneView
from adagrid.stores.layouts.cells import CellLayout
from adagrid.stores.layouts.tiles import TileLayout
from adagrid.stores.store import StepKey, zone_of
from adagrid.stores.tables import Table
from adagrid.testing.pandas_store import PandasStore

_SCHEMA = Schema(2, 1, TileLayout(), {"results": {"score": np.float64, "small": np.float32, "count": np.int64}})
_STAGED = Schema(
    1,
    1,
    CellLayout(),
    {
        "certificate": {"score": np.float64},
        "pilot": {"count": np.int64},
        "vertices": {"small": np.float32, "count": np.int64},
    },
)
_HERE, _LATER = StepKey(0, 0, 0), StepKey(0, 0, 1)

Rows: TypeAlias = dict[Table, pd.DataFrame]
Damage: TypeAlias = tuple[str, int, Rows]
"""The relation that rows break, an offending id, and the rows."""


def tile_rows(ids: list[int], place: StepKey = _HERE, parent: int = 0, volume: float = 1.0) -> pd.DataFrame:
    """Return rows for `tiles` (and, with more columns, for `results`)."""
    n = len(ids)
    return pd.DataFrame(
        {
            **{name: np.full(n, value) for name, value in vars(place).items()},
            "position": np.arange(n),
            "id": np.array(ids, np.uint64),
            "parent_id": np.full(n, parent, np.uint64),
            "n_sims": 64,
            "theta0": np.linspace(0, 1, n),
            "theta1": 0.1,
            "radius0": 0.5,
            "radius1": 0.5,
            "null_truth0": 1,
            "volume": np.full(n, volume),
            "design": 0,
            "worker_id": 1,
            "time": 0.0,
        }
    )


def result_rows(
    ids: list[int], scores: list[float], place: StepKey = _HERE, parent: int = 0, volume: float = 1.0
) -> pd.DataFrame:
    """Return rows for `results`."""
    return tile_rows(ids, place, parent, volume).assign(score=scores, small=0.1, count=2**40)


def done_rows(
    ids: list[int], place: StepKey = _HERE, *, active: int = 0, refine: int = 0, split: int = 0
) -> pd.DataFrame:
    """Return rows for `done`."""
    return pd.DataFrame(
        {
            "id": np.array(ids, np.uint64),
            **vars(place),
            "active": active,
            "refine": refine,
            "deepen": 0,
            "split": split,
            "worker_id": 1,
            "time": 0.0,
        }
    )


def step_row(place: StepKey, n_tiles: int, n_done: int) -> pd.DataFrame:
    """Return one row for `steps`."""
    return pd.DataFrame([vars(place) | {"n_tiles": n_tiles, "n_done": n_done, "worker_id": 1, "time": 0.0}])


def coordination_row(number: int, kind: str, n_zones: int = 2) -> pd.DataFrame:
    """Return one row for `coordinations`."""
    return pd.DataFrame([{"coordination_id": number, "kind": kind, "n_zones": n_zones, "worker_id": 1, "time": 0.0}])


def results_of(tiles: pd.DataFrame, scores: list[float], place: StepKey | None = None) -> pd.DataFrame:
    """Return the rows of `results` for rows of `tiles`; with a place, the rows of `certificate` there."""
    moved = {} if place is None else vars(place)
    return tiles.assign(score=scores, small=0.1, count=2**40, **moved)


def classic_job() -> list[Rows]:
    """Return what a small job appends, in order.

    Roots 1 and 2 and pruned 3; 1 was refined into 11 and 12; 2 was kept.
    """
    roots, born = tile_rows([1, 2, 3]), tile_rows([11, 12], _LATER, parent=1, volume=0.5)
    return [
        {"coordinations": coordination_row(0, "search", n_zones=1)},
        {"tiles": roots},
        {"results": results_of(roots[:2], [0.5, 0.25])},
        {"done": done_rows([3])},
        {"steps": step_row(_HERE, 3, 1)},
        {"tiles": born},
        {"results": results_of(born[:1], [0.75])},
        {"results": results_of(born[1:], [0.125])},
        {"done": pd.concat([done_rows([1], _LATER, refine=2), done_rows([2], _LATER, active=1)])},
        {"steps": step_row(_LATER, 2, 2)},
    ]


def certification() -> list[Rows]:
    """Return what is appended, in order, when a fresh pass in two zones certifies that job."""
    zones = StepKey(1, 0, 2), StepKey(1, 1, 2)
    kept, born = tile_rows([1, 2, 3])[1:2], tile_rows([11, 12], _LATER, parent=1, volume=0.5)
    return [
        {"coordinations": coordination_row(1, "certify")},
        {"certificate": results_of(kept, [0.5], zones[0])},
        {"steps": step_row(zones[0], 0, 0)},
        {"certificate": results_of(born[:1], [0.25], zones[1])},
        {"certificate": results_of(born[1:], [0.75], zones[1])},
        {"steps": step_row(zones[1], 0, 0)},
    ]


def staged_rows(name: Table, ids: Sequence[int], place: StepKey = _HERE, **columns: Sequence[float]) -> pd.DataFrame:
    """Return rows for a table of an interpolated job that has ids and positions; columns not given are 0."""
    n = len(ids)
    zeros: dict[str, Array] = {column: np.zeros(n, kind) for column, kind in _STAGED.tables[name].items()}
    here = {column: np.full(n, value) for column, value in vars(place).items()}
    own = {"position": np.arange(n), "id": np.array(ids, np.uint64), "n_sims": np.full(n, 64)}
    return pd.DataFrame({**zeros, **here, **own, **columns})


def staged_tiles(ids: Sequence[int], parent_id: Sequence[int], volume: Sequence[float]) -> pd.DataFrame:
    """Return rows for the tiles of an interpolated job, which has one parameter."""
    return staged_rows("tiles", ids, parent_id=parent_id, volume=volume, radius0=[each / 2 for each in volume])


Cells: TypeAlias = Mapping[int, tuple[int, float, int, int]]
"""Parent, volume and the points at both ends of cells, by id."""


def cell_rows(name: Table, cells: Cells, place: StepKey, n_sims: int = 64) -> pd.DataFrame:
    """Return rows for `cells` or `certificate`."""
    parent_id, volume, point0, point1 = zip(*cells.values(), strict=True)
    columns = {"parent_id": parent_id, "volume": volume, "point0": point0, "point1": point1}
    return staged_rows(name, list(cells), place, n_sims=[n_sims] * len(cells), **columns)


def interpolated_job() -> list[Rows]:
    """Return what a small job in stages and two zones appends, in order.

    Roots 1 and 2; 1 was split into 3 and pruned 4. Points 101 and 102 of a pilot; the first pass certified the cells
    31 and 21, which share the vertex 202; the second replaced 21 by 211 and 212, which share the new vertex 301. A
    third pass is planned, but not begun. Plans are written table by table, as engines without transactions may do.
    """
    zones = [(StepKey(stage, 0, stage), StepKey(stage, 1, stage)) for stage in range(4)]
    first: Cells = {31: (3, 0.5, 201, 202), 21: (2, 1.0, 202, 203)}
    second: Cells = {211: (21, 0.5, 202, 301), 212: (21, 0.5, 301, 203)}
    third: Cells = {2111: (211, 0.5, 202, 401)}
    return [
        {"tiles": staged_tiles([1, 2, 3, 4], parent_id=[0, 0, 1, 1], volume=[1.0, 1.0, 0.5, 0.5])},
        {"done": pd.concat([done_rows([1], split=2), done_rows([4])])},
        {"points": pd.concat([staged_rows("points", [101], zones[0][0]), staged_rows("points", [102], zones[0][1])])},
        {"coordinations": coordination_row(0, "pilot")},
        {"pilot": staged_rows("pilot", [101], zones[0][0])},
        {"steps": step_row(zones[0][0], 1, 0)},
        {"pilot": staged_rows("pilot", [102], zones[0][1])},
        {"steps": step_row(zones[0][1], 1, 0)},
        {"points": staged_rows("points", [201, 202], zones[1][0])},
        {"points": staged_rows("points", [203], zones[1][1])},
        {"cells": cell_rows("cells", first, zones[1][0])},
        {"coordinations": coordination_row(1, "pass")},
        {"vertices": staged_rows("vertices", [201, 202], zones[1][0])[:1]},
        {"vertices": staged_rows("vertices", [203], zones[1][1])},
        {"steps": step_row(zones[1][1], 1, 0)},
        {"vertices": staged_rows("vertices", [201, 202], zones[1][0])[1:]},
        {"steps": step_row(zones[1][0], 2, 0)},
        {"certificate": cell_rows("certificate", first, zones[1][0]).assign(score=[0.5, 0.75])},
        {"done": done_rows([3, 2], zones[1][0], refine=1)},
        {"points": staged_rows("points", [301], zones[2][0])},
        {"cells": cell_rows("cells", second, zones[2][0])},
        {"coordinations": coordination_row(2, "pass")},
        {"vertices": staged_rows("vertices", [301], zones[2][0])},
        {"steps": step_row(zones[2][0], 1, 0)},
        {"steps": step_row(zones[2][1], 0, 0)},
        {"certificate": cell_rows("certificate", second, zones[2][0]).assign(score=[0.25, 0.5])},
        {"done": done_rows([21], zones[2][0], refine=2)},
        {"points": staged_rows("points", [401], zones[3][0])},
        {"cells": cell_rows("cells", third, zones[3][0])},
    ]


JOBS: Mapping[str, tuple[Schema, list[Rows]]] = {
    "classic": (_SCHEMA, classic_job()),
    "certified": (_SCHEMA, [*classic_job(), *certification()]),
    "interpolated": (_STAGED, interpolated_job()),
}
"""Sound jobs: their schemas and what they append."""


def _common_damages(coordinations: int) -> Iterator[Damage]:
    """Yield what may not be appended to a job with so many coordinations."""
    yield "coordinations has each number once", 0, {"coordinations": coordination_row(0, "other")}
    gap = coordinations + 1
    yield "coordinations are numbered from 0 without gaps", gap, {"coordinations": coordination_row(gap, "pilot")}
    yield "every step is of a coordination", 77, {"steps": step_row(StepKey(gap, 0, 77), 0, 0)}


def _classic_damages() -> Iterator[Damage]:
    """Yield what may not be appended to the classic job."""
    yield from _common_damages(1)
    yield "a tile that has no parent is as large as its box", 8, {"tiles": tile_rows([8], volume=2.0)}
    tile = tile_rows([14], StepKey(0, 0, 2))
    yield "tiles has each id once", 2, {"tiles": tile_rows([2])}
    yield "results has each id once", 12, {"results": result_rows([12], [0.1])}
    yield "done has each id once", 2, {"done": done_rows([2], active=1)}
    yield "every tile of a finished step has a result", 4, {"tiles": tile_rows([4])}
    yield "split or pruned has no result", 3, {"results": result_rows([3], [0.1])}
    yield "every result has its tile", 5, {"results": result_rows([5], [0.1])}
    yield "every row of done has its tile", 6, {"done": done_rows([6])}
    yield "every parent is a tile", 7, {"tiles": tile_rows([7], parent=99)}
    yield "a parent is in done, replaced", 8, {"tiles": tile_rows([8], parent=2)}
    yield "an active tile has no children", 11, {"tiles": tile_rows([9], _LATER, parent=11)}
    yield "as many children as done says", 12, {"done": done_rows([12], refine=2)}
    yield "children cover their parent", 1, {"tiles": tile_rows([13], parent=1, volume=0.1)}
    unlike = results_of(tile, [0.5]).assign(n_sims=128)
    yield "results repeats the columns of tiles", 14, {"tiles": tile, "results": unlike}
    yield "steps counts the rows of tiles", 1, {"steps": step_row(_LATER, 2, 2)}
    yield "steps counts the rows of done", 0, {"done": done_rows([12], active=1)}
    yield "steps counts the rows of tiles", 2, {"steps": step_row(StepKey(0, 0, 2), 1, 0)}
    later = step_row(StepKey(0, 0, 3), 0, 0)
    yield "steps counts the rows of tiles", 2, {"tiles": tile, "results": results_of(tile, [0.5]), "steps": later}


def _certified_damages() -> Iterator[Damage]:
    """Yield what may not be appended to the job that was certified."""
    tile, place = tile_rows([14], StepKey(0, 0, 2)), StepKey(1, 0, 2)
    unlike = results_of(tile, [0.5], place).assign(n_sims=128)
    yield "certificate has each id once", 12, {"certificate": result_rows([12], [0.1], place)}
    yield "every certified tile is active", 1, {"certificate": result_rows([1], [0.1], place)}
    yield "every certified tile is active", 5, {"certificate": result_rows([5], [0.1], place)}
    yield "certificate repeats the columns of tiles", 14, {"tiles": tile, "certificate": unlike}
    yield "every active tile is certified", 14, {"tiles": tile, "results": results_of(tile, [0.5])}
    yield "steps counts the rows of tiles", 2, {"steps": step_row(place, 0, 0)}


def _interpolated_damages() -> Iterator[Damage]:
    """Yield what may not be appended to the interpolated job."""
    yield from _common_damages(3)
    large = staged_tiles([8], parent_id=[0], volume=[1.0]).assign(volume=2.0)
    yield "a tile that has no parent is as large as its box", 8, {"tiles": large}
    first, second, unplanned = StepKey(1, 0, 1), StepKey(2, 0, 2), StepKey(4, 0, 4)

    def cell(name: Table, number: int, parent: int, ends: tuple[int, int], place: StepKey = second) -> Rows:
        return {name: cell_rows(name, {number: (parent, 0.5, *ends)}, place)}

    once: dict[Table, int] = {"tiles": 2, "points": 101, "pilot": 101, "vertices": 201, "cells": 31, "certificate": 31}
    for name, culprit in once.items():
        yield f"{name} has each id once", culprit, {name: staged_rows(name, [culprit])}
    yield "done has each id once", 4, {"done": done_rows([4])}
    yield "every point of a finished step was simulated", 109, {"points": staged_rows("points", [109])}
    yield "every row of pilot has its point", 109, {"pilot": staged_rows("pilot", [109])}
    yield "every row of vertices has its point", 209, {"vertices": staged_rows("vertices", [209])}
    yield "no point is in pilot and in vertices", 101, {"vertices": staged_rows("vertices", [101])}
    point = staged_rows("points", [109], unplanned)
    for copy in ("pilot", "vertices"):
        unlike = staged_rows(copy, [109], unplanned, n_sims=[128])
        yield f"{copy} repeats the columns of points", 109, {"points": point, copy: unlike}
    yield "every point of a pass is a vertex of a cell", 209, {"points": staged_rows("points", [209], second)}
    yield "every vertex of a cell is a point of a pass", 219, cell("cells", 219, 211, (202, 99))
    yield "every vertex of a cell is a point of a pass", 219, cell("cells", 219, 211, (101, 202))
    yield "every vertex of a certified cell was simulated", 219, cell("certificate", 219, 211, (202, 401))
    yield "every certified cell was planned", 219, cell("certificate", 219, 211, (202, 301))
    yield "every cell of a coordination before the last is certified", 39, cell("cells", 39, 31, (201, 202), first)
    yield "what replaces a tile or cell is certified", 219, cell("cells", 219, 21, (202, 301))
    other = cell_rows("certificate", {219: (211, 0.5, 202, 301)}, second, n_sims=128)
    yield "certificate repeats the columns of cells", 219, {**cell("cells", 219, 211, (202, 301)), "certificate": other}
    yield "every row of done has its tile or cell", 6, {"done": done_rows([6])}
    yield "every parent is a tile or a cell", 7, {"tiles": staged_rows("tiles", [7], parent_id=[99])}
    for parent in (0, 99):
        yield "every parent is a tile or a cell", 219, cell("cells", 219, parent, (202, 301))
    yield "a parent is in done, replaced", 8, {"tiles": staged_rows("tiles", [8], parent_id=[31])}
    yield "a parent is in done, replaced", 219, cell("certificate", 219, 211, (202, 301))
    yield "a certified cell in force has no certified children", 211, cell("certificate", 219, 211, (202, 301))
    yield "as many children as done says", 212, {"done": done_rows([212], refine=2)}
    yield "as many children as done says", 2, cell("cells", 219, 2, (202, 301))
    yield "as many children as done says", 2, {"tiles": staged_rows("tiles", [8], parent_id=[2])}
    yield "children cover their parent", 21, cell("cells", 219, 21, (202, 301))
    yield "steps counts the rows of points", 2, {"steps": step_row(second, 1, 0)}
    yield "steps counts the rows of points", 3, {"steps": step_row(StepKey(3, 0, 3), 2, 0)}
    left = staged_rows("points", [109], StepKey(0, 2, 1))
    yield "steps counts the rows of points", 1, {"points": left, "steps": step_row(StepKey(1, 2, 2), 0, 0)}


DAMAGES = [
    (job, *damage)
    for job, damages in (
        ("classic", _classic_damages()),
        ("certified", _certified_damages()),
        ("interpolated", _interpolated_damages()),
    )
    for damage in damages
]
"""What breaks a relation of which of the sound jobs: the job, the relation, an offending id, and the rows."""


def fill(store: Store, job: str) -> None:
    """Create one of the sound jobs in a store, as it is in the end."""
    schema, appended = JOBS[job]
    written = {name: [rows[name] for rows in appended if name in rows] for name in schema.tables}
    store.create(schema)
    store.append({name: pd.concat(frames) for name, frames in written.items() if frames})


def _frontier(store: Store, view: ZoneView, columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(store.frontier(view, columns)).sort_values("id", ignore_index=True)


class StoreContract:
    """Laws that every store keeps. Subclass and give the fixture `empty`, a new store without a job.

    `verify_every` says after how many appends a job under way is verified; engines that run the same statements, or
    take long over them, need not do so after every one.
    """

    verify_every = 1

    @pytest.fixture
    def empty(self) -> Iterator[Store]:
        """Yield a new store without a job."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, empty: Store) -> Store:
        """Return a store whose tables have been created."""
        empty.create(_SCHEMA)
        return empty

    @pytest.mark.parametrize("schema", [_SCHEMA, _STAGED], ids=["classic", "interpolated"])
    def test_create(self, empty: Store, schema: Schema) -> None:
        """A store exists once its tables do."""
        before = empty.exists
        empty.create(schema)
        assert (before, empty.exists) == (False, True)
        assert empty.schema == schema
        assert all(len(empty.table(name)) == 0 for name in schema.tables if name != "schema")

    def test_what_is_appended_can_be_read(self, store: Store) -> None:
        """Exactly, with types, in the order of the keys; 64-bit ids and infinities included."""
        ids = [2**64 - 1, 1, 2**63 + 12345]
        rows = result_rows(ids, [np.inf, -np.inf, 1 / 3])
        store.append({"results": rows})
        read = store.table("results")
        columns = _SCHEMA.tables["results"]
        assert list(read.columns) == list(columns)
        for name, kind in columns.items():
            assert read[name].dtype == kind, name
            np.testing.assert_array_equal(read[name], rows[name].astype(kind), err_msg=name)

    def test_text(self, store: Store) -> None:
        """Text of any kind survives."""
        text = "quote ' \" ; drop table tiles; -- \n € \\ %s :name $1"
        row = pd.DataFrame([{"start": 0, "worker_id": 1, "time": 0.5, "record": text, "environment": ""}])
        store.append({"config": row})
        assert store.table("config")["record"].tolist() == [text]
        assert store.table("config")["environment"].tolist() == [""]

    def test_nan_is_refused(self, store: Store) -> None:
        """Nothing of the append is written."""
        with pytest.raises(StoreError, match="NaN"):
            store.append({"tiles": tile_rows([1, 2]), "results": result_rows([1, 2], [0.5, np.nan])})
        assert not len(store.table("tiles"))

    def test_missing_columns_are_refused(self, store: Store) -> None:
        """By name."""
        with pytest.raises(StoreError, match="volume"):
            store.append({"tiles": tile_rows([1]).drop(columns="volume")})

    def test_append_missing(self, store: Store) -> None:
        """Only rows whose ids are not there; running again adds nothing."""
        assert store.append_missing({"tiles": tile_rows([1, 2])}, key="tiles") == 2
        assert store.append_missing({"tiles": tile_rows([1, 2, 3])}, key="tiles") == 1
        assert store.append_missing({"tiles": tile_rows([1, 2, 3])}, key="tiles") == 0
        assert sorted(store.table("tiles")["id"]) == [1, 2, 3]

    def test_rows_by_id(self, store: Store) -> None:
        """In the order asked for; a missing one is an error."""
        store.append({"tiles": tile_rows([1, 2, 3])})
        assert store.rows("tiles", np.array([3, 1], np.uint64))["id"].tolist() == [3, 1]
        assert store.known("tiles", np.array([9, 2], np.uint64)).tolist() == [2]
        with pytest.raises(CorruptStoreError, match="9"):
            store.rows("tiles", np.array([1, 9], np.uint64))

    def test_append_missing_looks_at_the_rows_own_steps(self, store: Store) -> None:
        """Rows of several places at once; an id that another step has is left for `verify` to tell."""
        frame = pd.concat([tile_rows([1, 2]), tile_rows([3], StepKey(0, 1, 0)), tile_rows([4], _LATER)])
        assert store.append_missing({"tiles": frame.iloc[1:3]}, key="tiles") == 2
        assert store.append_missing({"tiles": frame}, key="tiles") == 2
        assert sorted(store.table("tiles")["id"]) == [1, 2, 3, 4]
        assert store.append_missing({"tiles": tile_rows([1], _LATER)}, key="tiles") == 1
        with pytest.raises(CorruptStoreError, match="tiles has each id once: 1"):
            store.verify()

    def test_step_rows(self, empty: Store) -> None:
        """Only those of the place."""
        fill(empty, "classic")
        assert empty.step_rows("results", _LATER, ["score", "id"]).to_dict("list") == {
            "score": [0.75, 0.125],
            "id": [11, 12],
        }
        assert empty.step_rows("tiles", _LATER)["id"].tolist() == [11, 12]
        assert empty.step_rows("done", _LATER)["id"].tolist() == [1, 2]
        assert not len(empty.step_rows("tiles", StepKey(0, 1, 1)))

    @pytest.mark.parametrize(
        ("name", "ids"),
        [("points", [201, 202]), ("vertices", [201, 202]), ("cells", [31, 21]), ("certificate", [31, 21])],
    )
    def test_tables_of_stages(self, empty: Store, name: Table, ids: list[int]) -> None:
        """They are read by id and by step as tiles are."""
        fill(empty, "interpolated")
        wanted = np.array(ids, np.uint64)
        rows = empty.step_rows(name, StepKey(1, 0, 1))
        assert rows["id"].tolist() == ids
        pd.testing.assert_frame_equal(empty.rows(name, wanted), rows)
        assert sorted(empty.known(name, np.append(wanted, np.uint64(9)))) == sorted(ids)
        assert empty.append_missing({name: rows}, key=name) == 0

    def test_between(self, empty: Store) -> None:
        """Rows and columns asked for, in the order of the keys; nothing asked for is everything."""
        fill(empty, "classic")
        step = {"coordination_id": (0, 0), "zone_id": (0, 0), "step_id": (1, 1)}
        pd.testing.assert_frame_equal(empty.between("tiles", step), empty.step_rows("tiles", _LATER))
        pd.testing.assert_frame_equal(empty.between("steps", {}), empty.table("steps"))
        narrow = empty.between("tiles", {"position": (1, 2)}, ["id", "position"])
        assert narrow.to_numpy().tolist() == [[2, 1], [3, 2], [12, 1]]
        assert narrow["id"].dtype == np.uint64
        assert narrow["position"].dtype == np.uint32
        ids = [2**64 - 1, 2**63 + 1, 2**63 - 1]
        empty.append({"done": done_rows(ids)})
        assert empty.between("done", {"id": (2**63 + 1, 2**64 - 1)}, ["id"])["id"].tolist() == ids[1::-1]
        assert not len(empty.between("done", {"id": (2**63 + 2, 2**64 - 2)}))

    def test_between_times(self, store: Store) -> None:
        """Reports and messages are found by when they were written."""
        message = {"worker_id": 1, "level": "INFO", "logger": "x"}
        rows = [{**message, "time": when, "message": f"at {when}"} for when in (3.5, 1.0, 2.25, 2.25)]
        rows[-1]["message"] = "another"
        store.append({"logs": pd.DataFrame(rows)})
        assert store.between("logs", {}, ["time"])["time"].tolist() == [1.0, 2.25, 2.25, 3.5]
        assert sorted(store.between("logs", {"time": (2.0, 3.0)})["message"]) == ["another", "at 2.25"]

    def test_reader(self, empty: Store) -> None:
        """Another thread reads what is there, while this one goes on writing."""
        fill(empty, "classic")
        before, read = empty.table("results"), []

        def work() -> None:
            reader = empty.reader()
            read.append((reader.schema, reader.exists, reader.table("results")))
            reader.close()

        thread = threading.Thread(target=work)
        thread.start()
        empty.append({"tiles": tile_rows([4], StepKey(0, 0, 2), parent=2)})
        thread.join()
        assert read[0][:2] == (empty.schema, True)
        pd.testing.assert_frame_equal(read[0][2], before)
        assert len(empty.table("tiles")) == 6

    def test_last_step_and_coordination(self, empty: Store) -> None:
        """None before the first."""
        empty.create(_SCHEMA)
        assert empty.last_step(0, 0) is None
        assert empty.last_coordination() is None
        for rows in JOBS["certified"][1]:
            empty.append(rows)
        assert (empty.last_step(0, 0), empty.last_step(0, 1), empty.last_step(1, 1)) == (1, None, 2)
        assert empty.last_coordination() == 1
        assert empty.table("coordinations")["kind"].tolist() == ["search", "certify"]

    def test_active_results(self, empty: Store) -> None:
        """Replaced tiles are not active; kept ones are, but are not eligible."""
        fill(empty, "classic")
        assert empty.results(active=True)["id"].tolist() == [2, 11, 12]
        assert empty.results(active=False)["id"].tolist() == [1, 2, 11, 12]
        expected = {"tiles": 5, "results": 4, "active": 3, "eligible": 2, "steps": 2, "pending": 0, "points": 4}
        assert {name: empty.summary()[name] for name in expected} == expected
        assert empty.summary()["simulations"] == 4 * 64

    def test_cells_in_force(self, empty: Store) -> None:
        """Replaced cells are not in force; planned ones are not yet; points that are not simulated are pending."""
        fill(empty, "interpolated")
        assert empty.results("certificate", active=True)["id"].tolist() == [31, 211, 212]
        assert empty.results("certificate", active=False)["id"].tolist() == [31, 21, 211, 212]
        expected = {"tiles": 5, "results": 4, "active": 3, "eligible": 3, "steps": 6, "pending": 1, "points": 7}
        assert {name: empty.summary()[name] for name in expected} == expected
        assert empty.summary()["simulations"] == 6 * 64

    def test_extreme(self, empty: Store) -> None:
        """Of active tiles; ties go to the lower id; only known columns."""
        fill(empty, "classic")
        assert empty.extreme("score", largest=True)["id"].tolist() == [11]
        assert empty.extreme("score", largest=False)["id"].tolist() == [12]
        assert empty.extreme("count", largest=True)["id"].tolist() == [2]
        assert not len(empty.extreme("score", largest=True, name="certificate"))
        with pytest.raises(StoreError, match="no column"):
            empty.extreme("score; drop table tiles", largest=True)

    def test_extremes(self, empty: Store) -> None:
        """The most extreme first, as many as there are."""
        fill(empty, "classic")
        assert empty.extreme("score", largest=True, count=2)["id"].tolist() == [11, 2]
        assert empty.extreme("score", largest=False, count=9)["id"].tolist() == [12, 2, 11]
        assert empty.extreme("count", largest=True, count=2)["id"].tolist() == [2, 11]

    def test_spread(self, empty: Store) -> None:
        """Of active tiles only; nothing of nothing."""
        empty.create(_SCHEMA)
        assert not len(empty.spread(["score"]))
        for rows in classic_job():
            empty.append(rows)
        spread = empty.spread(["score", "n_sims"])
        assert spread["column"].tolist() == ["score", "n_sims"]
        assert spread["least"].tolist() == [0.125, 64]
        assert spread["mean"].tolist() == [0.375, 64]
        assert spread["greatest"].tolist() == [0.75, 64]

    @pytest.mark.parametrize(("job", "table", "n_before"), [("certified", "results", 4), ("interpolated", "pilot", 2)])
    def test_activity(self, empty: Store, job: str, table: Table, n_before: int) -> None:
        """Every worker's last sign of life, and what it simulated since a time."""
        fill(empty, job)
        before = empty.activity(0.0)
        assert set(before["worker_id"]) <= {0, 1}
        assert not before["last_sign"].any()
        rows = empty.table(table)[:1].assign(id=np.array([99], np.uint64), worker_id=2, time=50.0)
        empty.append({table: rows})
        now = empty.activity(40.0)
        assert now["worker_id"].tolist()[-1] == 2
        assert now.iloc[-1].tolist() == [2, 50.0, 1, 64]
        everything = empty.activity(0.0)
        assert everything["simulated"].sum() == before["simulated"].sum() + 1
        assert before["simulated"].sum() >= n_before
        assert (everything["simulations"] == 64 * everything["simulated"]).all()

    @pytest.mark.parametrize(("job", "largest", "smallest"), [("certified", 12, 11), ("interpolated", 31, 211)])
    def test_extreme_of_the_certificate(self, empty: Store, job: str, largest: int, smallest: int) -> None:
        """Of active tiles or cells in force."""
        fill(empty, job)
        assert empty.extreme("score", largest=True, name="certificate")["id"].tolist() == [largest]
        assert empty.extreme("score", largest=False, name="certificate")["id"].tolist() == [smallest]
        with pytest.raises(StoreError, match="certificate has no column"):
            empty.extreme("id from tiles --", largest=True, name="certificate")

    def test_frontier_is_as_of_a_step(self, empty: Store) -> None:
        """Rows of this and later steps are ignored, whatever was written since."""
        fill(empty, "classic")
        now = _frontier(empty, ZoneView(0, 0, 1, 2), ["score"])
        assert now["id"].tolist() == [2, 11, 12]
        assert now["eligible"].tolist() == [False, True, True]
        assert now["score"].tolist() == [0.25, 0.75, 0.125]
        before = _frontier(empty, ZoneView(0, 0, 1, 1), ["score"])
        assert before["id"].tolist() == [1, 2]
        assert before["eligible"].all()

    @pytest.mark.parametrize("page", [1, 2, 3, 100])
    def test_frontier_in_pages(self, store: Store, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every tile is in one of them, wherever steps are cut or put together."""
        monkeypatch.setattr("adagrid.stores.sql.PAGE", page)
        assert not len(_frontier(store, ZoneView(0, 0, 1, 9), ["score"]))
        sizes = {0: 7, 1: 1, 2: 1, 4: 2, 5: 1}
        for step, size in sizes.items():
            ids = [10 * (step + 1) + k for k in range(size)]
            store.append({"results": result_rows(ids, [float(i) for i in ids], StepKey(0, step % 2, step))})
        whole = _frontier(store, ZoneView(0, 0, 1, 5), ["score", "position"])
        assert whole["id"].tolist() == [*range(10, 17), 20, 30, 50, 51]
        assert whole["score"].tolist() == whole["id"].tolist()
        assert whole["eligible"].all()

    @pytest.mark.parametrize("n_zones", [2, 3, 7])
    @pytest.mark.parametrize("coordination", [1, 2, 40])
    def test_zones_partition_the_tiles(self, store: Store, n_zones: int, coordination: int) -> None:
        """Old tiles are dealt by their ids; tiles of the current coordination stay in their zone."""
        rng = np.random.default_rng(0)
        old = rng.integers(0, 2**64, 200, np.uint64)
        store.append({"results": result_rows(old.tolist(), [0.0] * 200)})
        new = rng.integers(0, 2**64, 20, np.uint64)
        here = StepKey(coordination, 1, 10)
        store.append({"results": result_rows(new.tolist(), [0.0] * 20, here)})
        zones = [set(_frontier(store, ZoneView(coordination, zone, n_zones, 11), [])["id"]) for zone in range(n_zones)]
        assert sorted(i for zone in zones for i in zone) == sorted([*old.tolist(), *new.tolist()])
        assert set(new.tolist()) <= zones[1]
        for zone, ids in enumerate(zones):
            dealt = old[zone_of(old, coordination, n_zones) == zone]
            assert set(dealt.tolist()) == ids - set(new.tolist())

    @pytest.mark.parametrize("job", JOBS)
    def test_sound_jobs_verify(self, empty: Store, job: str) -> None:
        """Nothing is wrong with an empty job, a finished one, or one that was cut anywhere between."""
        schema, appended = JOBS[job]
        empty.create(schema)
        empty.verify()
        for number, rows in enumerate(appended, 1):
            empty.append(rows)
            if number % self.verify_every == 0 or number == len(appended):
                empty.verify()

    def test_begun_steps_verify(self, empty: Store) -> None:
        """Nor with a step that has begun."""
        fill(empty, "classic")
        tile = tile_rows([111], StepKey(0, 0, 2), parent=11, volume=0.5)
        empty.append({"tiles": tile})
        empty.verify()
        empty.append({"results": results_of(tile, [0.1])})
        empty.verify()

    @pytest.mark.parametrize(("job", "relation", "culprit", "damage"), DAMAGES)
    def test_verify_notices(self, empty: Store, job: str, relation: str, culprit: int, damage: Rows) -> None:
        """Every relation that is broken, and who broke it, as the model of stores does."""
        model = PandasStore()
        for store in (empty, model):
            fill(store, job)
            store.append(damage)
        broken = {name: ids.tolist() for name, ids in model.violations().items()}
        (culprits,) = (ids for name, ids in broken.items() if relation in name)
        assert culprit in culprits
        with pytest.raises(CorruptStoreError) as told:
            empty.verify()
        lines = [f"- {name}: {', '.join(map(str, ids))}" for name, ids in broken.items()]
        assert sorted(str(told.value).splitlines()[1:]) == sorted(lines)

    def test_verify_notices_a_gap(self, store: Store) -> None:
        """The active tiles must cover the region: what no generation is found to lose adds up."""
        store.append({"coordinations": coordination_row(0, "search", n_zones=1)})
        store.append({"tiles": tile_rows([1]), "results": result_rows([1], [0.5]), "steps": step_row(_HERE, 1, 0)})
        for parent in (1, 2):
            store.verify()
            place, volume = StepKey(0, 0, parent), (1 - 0.8e-6) ** parent
            tiles = tile_rows([parent + 1], place, parent, volume)
            store.append({"tiles": tiles, "results": results_of(tiles, [0.5])})
            store.append({"done": done_rows([parent], place, refine=1), "steps": step_row(place, 1, 1)})
        with pytest.raises(CorruptStoreError, match=r"\):\n- active and pruned tiles cover the region exactly: 0$"):
            store.verify()

    def test_verify_notices_a_gap_between_cells(self, empty: Store) -> None:
        """The cells in force must cover the region once a pass is certified."""
        empty.create(_STAGED)
        place, cells = StepKey(0, 0, 0), {21: (2, 1.0, 201, 202)}
        empty.append({"tiles": staged_tiles([1, 2], parent_id=[0, 0], volume=[1.0, 1.0])})
        empty.append({"points": staged_rows("points", [201, 202]), "vertices": staged_rows("vertices", [201, 202])})
        empty.append({"cells": cell_rows("cells", cells, place), "coordinations": coordination_row(0, "pass")})
        empty.verify()
        empty.append({"certificate": cell_rows("certificate", cells, place), "done": done_rows([2], refine=1)})
        with pytest.raises(CorruptStoreError, match="cover the region exactly"):
            empty.verify()

    def test_close_twice(self, store: Store) -> None:
        """Closing is idempotent."""
        store.close()
        store.close()
