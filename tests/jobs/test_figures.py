"""`verify` computes figures again: each that does not follow from what is beside it is named by its row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from adagrid.testing.pandas_store import PandasStore
from tests.support.jobcases import run_case


@cache
def sound(case):
    """Return a job's record, schema and tables; nobody may change its frames."""
    store = PandasStore()
    run = run_case(case, db=store)
    assert not len(run.record.method.inconsistent_rows(store, run.record))
    return run.record, store.schema, {name: store.table(name) for name in store.schema.tables}


def wrong_after(job, changed):
    """Return what is wrong with a job of which some tables are changed."""
    record, schema, tables = job
    store = PandasStore()
    store.create(schema)
    store.append({name: frame for name, frame in {**tables, **changed}.items() if name != "schema"})
    return record.method.inconsistent_rows(store, record).tolist()


def times(factor):
    return lambda frame, column: frame[column] * factor


def more(number):
    return lambda frame, column: frame[column] + number


def other(column):
    return lambda frame, _: frame[column]


@pytest.mark.parametrize(
    ("case", "tables", "column", "change"),
    [
        ("validate_z", ["results"], "rejections", more(1)),
        ("validate_z", ["results"], "tie_estimate", times(1.001)),
        ("validate_z", ["results"], "tie_point_bound", times(0.999)),
        ("validate_z", ["results"], "tie_point_lower", times(1.001)),
        ("validate_z", ["results"], "tie_bound", other("tie_estimate")),
        ("validate_z", ["results"], "tie_lower", other("tie_estimate")),
        ("calibrate_z", ["results"], "rank", more(1)),
        ("calibrate_z", ["results"], "alpha0", more(0.05)),
        ("staged_validate_z", ["vertices"], "rejections", more(1)),
        ("staged_validate_z", ["vertices"], "tie_point_bound", times(0.999)),
        ("staged_validate_z", ["vertices"], "tie_point_lower", times(1.001)),
        ("staged_validate_z", ["points", "vertices"], "level", times(1.5)),
        ("staged_validate_z", ["certificate"], "tie_bound", other("tie_estimate")),
        ("staged_validate_fisher", ["certificate"], "tie_bound", other("tie_point_bound")),
        ("staged_validate_z", ["certificate"], "tie_lower", times(1.01)),
        ("staged_calibrate_z", ["vertices"], "rank", more(1)),
        ("staged_calibrate_z", ["certificate"], "tie_bound", more(0.05)),
        ("staged_calibrate_z", ["certificate"], "lambda_star", more(0.1)),
    ],
)
def test_a_changed_figure_is_named(case, tables, column, change):
    """Of the row where the change is largest, relatively."""
    job = sound(case)
    frame = job[2][tables[-1]]
    active = frame["id"] > 0
    if tables[-1] in ("results", "certificate"):  # replaced rows decide nothing and are not checked
        active = ~frame["id"].isin(job[2]["done"]["id"])
    after = change(frame, column)
    row = frame.index[active][np.argmax(np.abs(after / frame[column].where(frame[column] != 0, 1) - 1)[active])]
    number = frame["id"][row]
    changed = {name: job[2][name].copy() for name in tables}
    for each in changed.values():
        each.loc[each["id"] == number, column] = after[row]
    assert number in wrong_after(job, changed)


def test_a_limit_from_elsewhere_is_named():
    """A vertex that is neither of a cell's own pass nor of the cell that it comes from, at the same place even."""
    job, twin = sound("staged_validate_z"), np.uint64(12345)
    cell = job[2]["certificate"].iloc[0]
    changed = {}
    for name in ("points", "vertices"):
        frame = job[2][name]
        copy = frame[frame["id"] == cell["point0"]].assign(id=twin, coordination_id=cell["coordination_id"] - 1)
        changed[name] = pd.concat([frame, copy], ignore_index=True)
    for name in ("cells", "certificate"):
        frame = job[2][name].copy()
        frame.loc[frame["id"] == cell["id"], "point0"] = twin
        changed[name] = frame
    assert wrong_after(job, changed) == [twin]
