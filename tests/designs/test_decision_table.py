"""Decision tables that are wrong: every mistake at once, and where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError
from adagrid.models._identity import model_arguments
from tests.support import flat


def written(tmp_path, text):
    path = tmp_path / "design.csv"
    path.write_text(text)
    return path


def problems(call):
    with pytest.raises(InvalidInputError) as caught:
        call()
    return list(caught.value.problems)


def test_all_mistakes_are_told_with_their_lines(tmp_path):
    path = written(
        tmp_path,
        "responders0,responders1,reject\n0,0,0\n0,1,1\n\n1,0,yes\n1,1,2\n1,3,0\n-1,0,0\n0.5,,1\n0,0,1\n",
    )
    told = problems(lambda: ada.DecisionTable.from_csv(path, n=(1, 2)))
    expected = [
        ("line 8: responders0", "'-1'"),
        ("line 9: responders0", "'0.5'"),
        ("line 7: responders1", "'3'"),
        ("line 9: responders1", "''"),
        ("line 5: reject", "'yes'"),
        ("line 6: reject", "'2'"),
        ("line 10: the outcome of line 2", "again"),
    ]
    assert len(told) == len(expected)
    for text, (where, what) in zip(told, expected, strict=True):
        assert text.startswith(where)
        assert what in text


def test_missing_outcomes_are_named_and_must_be_given_a_meaning(tmp_path):
    path = written(tmp_path, "responders0,responders1,reject\n0,0,0\n1,2,1\n")
    (told,) = problems(lambda: ada.DecisionTable.from_csv(path, n=(1, 2)))
    assert told.startswith("4 of 6 outcomes have no row")
    assert "(0, 1), (0, 2), (1, 0)" in told
    ada.DecisionTable.from_csv(path, n=(1, 2), missing="reject")


@pytest.mark.parametrize(
    ("header", "rules"),
    [
        ("responders0,reject", ["column responders1 is needed"]),
        ("responders0,responders1", ["must be one column statistic or reject"]),
        ("responders0,responders1,reject,statistic", ["must be one column statistic or reject"]),
        ("responders0,responders1,reject0,reject2", ["must be one column statistic or reject"]),
        ("responders0,responders1,responders1,reject", ["responders1 is there 2 times"]),
        ("responders0,responders1,reject,arm", ["'arm' mean nothing here"]),
        ("responders0:responders1:reject", ["responders0 is needed", "responders1 is needed", "one column", "commas"]),
    ],
)
def test_columns(tmp_path, header, rules):
    told = problems(lambda: ada.DecisionTable.from_csv(written(tmp_path, header + "\n"), n=(1, 2), missing="accept"))
    assert len(told) == len(rules)
    for text, rule in zip(told, rules, strict=True):
        assert rule in text


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "is empty"), ("responders0,reject\n0,1,2\n1\n", "line 2: 3 values for 2 columns")],
)
def test_files(tmp_path, text, rule):
    assert rule in problems(lambda: ada.DecisionTable.from_csv(written(tmp_path, text), n=1))[0]


def test_files_that_cannot_be_read(tmp_path):
    assert "readable CSV file" in problems(lambda: ada.DecisionTable.from_csv(tmp_path / "none.csv", n=1))[0]
    (tmp_path / "latin.csv").write_bytes("responders0,réject\n".encode("latin-1"))
    assert "UTF-8" in problems(lambda: ada.DecisionTable.from_csv(tmp_path / "latin.csv", n=1))[0]


def test_long_lists_of_mistakes_are_cut(tmp_path):
    path = written(tmp_path, "responders0,reject\n" + "9,1\n" * 50)
    told = problems(lambda: ada.DecisionTable.from_csv(path, n=1))
    assert len(told) == 11
    assert told[-1] == "... and 40 more of this kind."


COMPLETE = pd.DataFrame({"responders0": [0, 1], "statistic": [0.5, 0.01]})


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({}, "'small', 'large', 'at most' or 'at least'"),
        ({"reject_when": "below"}, "reject_when must be one of"),
        ({"reject_when": "small", "missing": "skip"}, "missing must be one of"),
        ({"reject_when": "small", "table": COMPLETE.rename(columns={"statistic": "reject"})}, "0 or 1"),
        ({"reject_when": "small", "table": COMPLETE.assign(statistic=np.nan)}, "row 0: statistic must be a number"),
        ({"reject_when": "small", "table": {"responders0": [0]}}, "data frame"),
        ({"reject_when": "small", "n": (500, 500, 500)}, "at most 67,108,864 entries"),
        (
            {"reject_when": "large", "table": pd.DataFrame({"responders0": [0, 1], "reject": [0, 1]})},
            "None for columns",
        ),
    ],
)
def test_arguments(arguments, rule):
    with pytest.raises(InvalidInputError, match=rule):
        ada.DecisionTable(**{"n": 1, "table": COMPLETE, **arguments})


def test_what_is_written_in_files_does_not_depend_on_the_order_of_rows_or_on_spreadsheets(tmp_path):
    plain = ada.DecisionTable(1, COMPLETE, reject_when="small")
    path = tmp_path / "design.csv"
    path.write_bytes(b"\xef\xbb\xbfstatistic, responders0\r\n0.01,1\r\n\r\n0.5,0\r\n")
    other = ada.DecisionTable.from_csv(path, 1, reject_when="small")
    theta, truth = np.array([[-0.3]]), np.ones((1, 1), bool)
    assert plain.exact_error(theta, truth, 0.02) == other.exact_error(theta, truth, 0.02)


def test_another_table_is_another_design(tmp_path):
    """A job remembers the content of its table, whatever becomes of the frame."""
    frame, grid = COMPLETE.copy(), ada.cartesian_grid([-1], [0], n=2)
    model = ada.DecisionTable(1, frame, reject_when="small")
    recorded = model_arguments(model)
    frame.loc[0, "statistic"] = 0.001
    assert model_arguments(model) == recorded
    changed = ada.DecisionTable(1, frame, reject_when="small")
    assert model_arguments(changed) != recorded
    path = tmp_path / "job.duckdb"
    flat.validate(model, threshold=0.02, grid=grid, db=path).close()
    flat.validate(model, threshold=0.02, grid=grid, db=path).close()
    with pytest.raises(ada.errors.ResumeError, match="arguments"):
        flat.validate(changed, threshold=0.02, grid=grid, db=path)
