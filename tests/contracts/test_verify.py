"""Whatever is done to a sound job's tables, verify notices it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adagrid as ada
from adagrid.errors import CorruptStoreError
from adagrid.results.run import Run
from adagrid.stores import Schema
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.tables import INCIDENTAL
from adagrid.testing.pandas_store import PandasStore
from tests.support.examples import examples
from tests.support.jobcases import run_case

JOBS: dict[str, Callable[[PandasStore], Run]] = {
    "validate": lambda store: run_case("validate_fisher", db=store, n_steps=5),
    "calibrate": lambda store: run_case("calibrate_z", db=store, n_steps=5),
    "zones": lambda store: run_case(
        "validate_fisher", db=store, n_steps=5, backend=ada.LocalBackend(n_zones=3, coordinate_every=2)
    ),
    "certified": lambda store: run_case("calibrate_z", db=store, n_steps=4).certify(),
    "staged validate": lambda store: run_case("staged_validate_fisher", db=store),
    "staged calibrate": lambda store: run_case("staged_calibrate_z", db=store),
    "staged zones": lambda store: run_case("staged_validate_fisher", db=store, backend=ada.LocalBackend(n_zones=2)),
}
_WITH_IDS = ("tiles", "results", "certificate", "points", "pilot", "vertices", "cells", "done")

Tables = dict[str, pd.DataFrame]


@cache
def sound(job: str) -> tuple[Schema, Tables]:
    """Return a sound job; nobody may change its frames."""
    store = PandasStore()
    JOBS[job](store).verify()
    return store.schema, {name: store.table(name) for name in store.schema.tables}


def damaged(schema: Schema, tables: Tables, store=None) -> Run:
    """Return a job with the given tables, in a store of its own."""
    store = store or PandasStore()
    store.create(schema)
    store.append({name: frame for name, frame in tables.items() if name != "schema"})
    return Run(store)


def without(frame: pd.DataFrame, row: int) -> pd.DataFrame:
    return frame.drop(index=row).reset_index(drop=True)


def changed(frame: pd.DataFrame, row: int, column: str, value) -> pd.DataFrame:
    frame = frame.copy()
    frame[column] = frame[column].where(np.arange(len(frame)) != row, np.array(value).astype(frame[column].dtype))
    return frame


@st.composite
def losses(draw, schema: Schema, tables: Tables) -> Tables:
    """A row is lost. The last row of all would only mean that a step, or a pass, is unfinished."""
    names = [name for name in (*_WITH_IDS, "steps", "coordinations") if len(tables.get(name, ()))]
    name = draw(st.sampled_from(names))
    frame = tables[name]
    rows = np.arange(len(frame))
    if name == "steps":
        newest = frame.groupby(["coordination_id", "zone_id"])["step_id"].transform("max")
        last = frame["coordination_id"] == frame["coordination_id"].max()
        rows = rows[~(last & (frame["step_id"] == newest)) & (frame["n_tiles"] + frame["n_done"] > 0)]
    if name == "coordinations":
        rows = rows[frame["coordination_id"] < frame["coordination_id"].max()]
    if name == "done":
        of_last = frame["coordination_id"] == frame["coordination_id"].max()
        rows = rows if of_last.sum() > 1 else rows[~of_last]
    if not len(rows):
        name, rows = "tiles", np.arange(len(tables["tiles"]))
    return {name: without(tables[name], draw(st.sampled_from(rows.tolist())))}


@st.composite
def repeats(draw, schema: Schema, tables: Tables) -> Tables:
    """A row is there twice."""
    name = draw(st.sampled_from([name for name in (*_WITH_IDS, "steps", "coordinations") if len(tables.get(name, ()))]))
    frame = tables[name]
    row = draw(st.integers(0, len(frame) - 1))
    return {name: pd.concat([frame, frame.iloc[[row]]], ignore_index=True)}


@st.composite
def orphans(draw, schema: Schema, tables: Tables) -> Tables:
    """A tile or cell, in all its tables, has another parent: none, one that does not exist, or any other tile."""
    names = [name for name in ("tiles", "cells") if len(tables.get(name, ()))]
    everything = np.concatenate([tables[name]["id"].to_numpy(np.uint64) for name in names])
    name = draw(st.sampled_from(names))
    born = tables[name][tables[name]["parent_id"] != 0]
    if not len(born):
        return draw(losses(schema, tables))
    number, parent = draw(st.sampled_from(list(zip(born["id"], born["parent_id"], strict=True))))
    others = st.one_of(st.sampled_from(everything.tolist()), st.integers(0, 2**64 - 1))
    return _everywhere(tables, number, "parent_id", draw(others.filter(lambda other: other != parent)))


@st.composite
def child_counts(draw, schema: Schema, tables: Tables) -> Tables:
    """A row of done has another number of children."""
    done = tables["done"]
    row = draw(st.integers(0, len(done) - 1))
    column = draw(st.sampled_from(["refine", "deepen", "split"]))
    value = draw(st.integers(0, 9).filter(lambda other: other != done[column][row]))
    return {"done": changed(done, row, column, value)}


@st.composite
def gaps(draw, schema: Schema, tables: Tables) -> Tables:
    """A tile or cell, in all its tables, stands for less or more of the region."""
    names = [name for name in ("tiles", "cells") if len(tables.get(name, ()))]
    frame = tables[draw(st.sampled_from(names))]
    row = draw(st.integers(0, len(frame) - 1))
    factor = draw(st.floats(0.0, 0.99) | st.floats(1.01, 10))
    return _everywhere(tables, frame["id"][row], "volume", frame["volume"][row] * factor)


@st.composite
def revivals(draw, schema: Schema, tables: Tables) -> Tables:
    """A replaced tile or cell is called active, or a kept one replaced."""
    done = tables["done"]
    row = draw(st.integers(0, len(done) - 1))
    return {"done": changed(done, row, "active", 1 - done["active"][row])}


@st.composite
def disagreements(draw, schema: Schema, tables: Tables) -> Tables:
    """A result says something else about its tile, point or cell than the table it repeats."""
    pairs = [("results", "tiles"), ("certificate", "tiles"), ("pilot", "points"), ("vertices", "points")]
    pairs += [("certificate", "cells")] if schema.layout.name == "cells" else []
    pairs = [(copy, original) for copy, original in pairs if {copy, original} <= set(tables) and len(tables[copy])]
    pairs = [pair for pair in pairs if schema.layout.name == "tiles" or pair != ("certificate", "tiles")]
    copy, original = draw(st.sampled_from(pairs))
    # a certificate of tiles is of a later step than they are
    own = {"position"} | ({"coordination_id", "zone_id", "step_id"} if (copy, original) == pairs[-1] else set())
    columns = [name for name in schema.tables[original] if name not in {*INCIDENTAL, "id", *own}]
    frame, column = tables[copy], draw(st.sampled_from(columns))
    row = draw(st.integers(0, len(frame) - 1))
    value = frame[column][row]
    return {copy: changed(frame, row, column, value + 1 if value < 100 else value // 2)}


def _everywhere(tables: Tables, number: np.uint64, column: str, value) -> Tables:
    """Return the tables in which a tile or cell appears, with another value there."""
    found = {}
    for name in ("tiles", "results", "certificate", "cells"):
        frame = tables.get(name)
        if frame is not None and column in frame and (frame["id"] == number).any():
            found[name] = changed(frame, int(np.flatnonzero(frame["id"] == number)[0]), column, value)
    return found


_DAMAGES = (losses, repeats, orphans, child_counts, gaps, revivals, disagreements)


@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("job", JOBS)
@settings(deadline=None, max_examples=examples(4))
@given(data=st.data())
def test_verify_notices(job, damage, data):
    schema, tables = sound(job)
    run = damaged(schema, {**tables, **data.draw(damage(schema, tables))})
    with pytest.raises(CorruptStoreError):
        run.verify()


@pytest.mark.parametrize("job", JOBS)
@settings(deadline=None, max_examples=examples(4))
@given(data=st.data())
def test_sql_notices_what_the_model_notices(job, data):
    schema, tables = sound(job)
    damage = data.draw(st.sampled_from(_DAMAGES))
    tables = {**tables, **data.draw(damage(schema, tables))}
    stores = [damaged(schema, tables, store)._store for store in (PandasStore(), DuckDBStore())]
    model, sql = ({name: ids.tolist() for name, ids in store.violations().items()} for store in stores)
    assert model == sql
    with pytest.raises(CorruptStoreError) if model else nullcontext():
        stores[1].verify()
    stores[1].close()
