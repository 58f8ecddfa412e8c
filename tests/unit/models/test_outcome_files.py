"""Tables of R, SAS and spreadsheets are read where they have one meaning, and refused where they have several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError

DECISIONS = pd.DataFrame({"responders0": [0, 1, 2], "reject": [0, 0, 1]})
STATISTICS = pd.DataFrame({"responders0": [0, 1, 2], "statistic": [0.025, 1.5, -2e-3]})
DECIDED = {
    "plain": "responders0,reject\n0,0\n1,0\n2,1\n",
    "write.csv": '"","responders0","reject"\n"1",0,FALSE\n"2",1,FALSE\n"3",2,TRUE\n',
    "write.csv, quote": '"responders0","reject"\n"0","F"\n"1","F"\n"2","T"\n',
    "write.csv2": '"";"responders0";"reject"\n"1";0;FALSE\n"2";1;FALSE\n"3";2;TRUE\n',
    "write.table, tabs": "responders0\treject\n0\t0\n1\t0\n2\t1\n",
    "to_csv": ",responders0,reject\n0,0,False\n1,1,False\n2,2,True\n",
    "Windows": "\ufeffresponders0,reject\r\n0,0\r\n1,0\r\n2,1\r\n",
    "blanks": " responders0 , reject\n0 , 0\n 1,0\n\n2,1 \n",
}
MEASURED = {
    "plain": "responders0,statistic\n0,0.025\n1,1.5\n2,-2e-3\n",
    "write.csv2": '"responders0";"statistic"\n0;0,025\n1;1,5\n2;-2e-3\n',
    "tabs, decimal commas": "responders0\tstatistic\n0\t,025\n1\t1,5\n2\t-0,002\n",
    "semicolons, decimal points": "responders0;statistic\n0;0.025\n1;1.5\n2;-0.002\n",
}
REFUSED = {
    "NA": ("responders0,reject\n0,0\n1,NA\n2,1\n", "line 3: reject must be 0 or 1 .*; got 'NA'"),
    "missing in SAS": ("responders0,statistic\n0,1\n1,.\n2,1\n", r"line 3: statistic must be a number .*; got '\.'"),
    "row names": ("responders0 reject\n1 0 0\n2 1 0\n3 2 1\n", "A column responders0 is needed"),
    "row names, tabs": ("responders0\treject\n1\t0\t0\n2\t1\t0\n", "names of rows.*row.names = FALSE"),
    "commas at ends": ("responders0,reject\n0,0,\n1,0,\n", "an empty one at its end.*row.names = FALSE"),
    "thousands": ("responders0;statistic\n0;1,234\n1;2,500\n", "separated by semicolons.*'1,234', which may separate"),
    "both": ("responders0;statistic\n0;1,5\n1;2.5\n", "commas, such as '1,5', and decimal points, such as '2.5'"),
    "commas in quotes": ('responders0,statistic\n0,"1,5"\n1,2\n2,3\n', "line 2: statistic must be a number .*'1,5'"),
    "no name": ("responders0,reject,\n0,0,1\n1,0,1\n2,1,1\n", "The columns '' mean nothing"),
    "decisions as texts": ("responders0,statistic\n0,TRUE\n1,FALSE\n2,TRUE\n", "line 2: statistic must be .*'TRUE'"),
    "empty": ("", "must name the columns"),
}


@pytest.fixture
def table(tmp_path):
    def read(text, n=2, **how):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode())
        return ada.DecisionTable.from_csv(path, n, **how)

    return read


@pytest.mark.parametrize("text", DECIDED.values(), ids=DECIDED)
def test_decisions(table, text):
    assert _tables(table(text)) == _tables(ada.DecisionTable(2, DECISIONS))


@pytest.mark.parametrize("text", MEASURED.values(), ids=MEASURED)
def test_statistics(table, text):
    found = table(text, reject_when="small")
    assert _tables(found) == _tables(ada.DecisionTable(2, STATISTICS, reject_when="small"))


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_what_has_several_meanings_is_refused(table, text, told):
    with pytest.raises(InvalidInputError, match=told):
        table(text, reject_when="small" if "statistic" in text else None)


def test_at_most_ten_problems_of_a_kind_are_listed(table):
    text = "responders0,responders1,statistic\n" + "".join(f"{i},-1,x\n" for i in range(101))
    with pytest.raises(InvalidInputError) as error:
        table(text, (100, 100), reject_when="small")
    kinds = [
        sum(kind in problem for problem in error.value.problems) for kind in ("responders1 must", "statistic must")
    ]
    assert kinds == [10, 10]
    assert sum("... and 91 more of this kind" in problem for problem in error.value.problems) == 2


def test_encodings_are_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("responders0,reject,größe".encode("latin-1"))
    with pytest.raises(InvalidInputError, match="UTF-8"):
        ada.DecisionTable.from_csv(path, 1)


def test_names_have_one_level():
    levels = pd.concat({"a": DECISIONS}, axis=1)
    with pytest.raises(InvalidInputError, match=r"2 levels of names, such as \('a', 'responders0'\)"):
        ada.DecisionTable(2, levels)


def test_truth_values_in_a_data_frame_are_decisions():
    frame = DECISIONS.assign(reject=DECISIONS["reject"].astype(bool))
    assert _tables(ada.DecisionTable(2, frame)) == _tables(ada.DecisionTable(2, DECISIONS))


def _tables(design):
    return np.asarray(design._tables).tolist()
