"""Engines without transactions write the tables of an append one by one: the last says that the others are there."""

from __future__ import annotations

import itertools

import pytest

from adagrid.testing import PandasStore
from tests.support.interrupting import Stop
from tests.support.jobcases import assert_same, run_case, tables


class CutStore(PandasStore):
    """Stops once within an append: before the n-th table that is not the first of its append."""

    def __init__(self, number):
        super().__init__()
        self.left = number

    def _append(self, frames):
        for place, (name, frame) in enumerate(frames.items()):
            self.left -= place > 0 and name != "reports"  # which no run reads
            if self.left == 0:
                self.left = -1
                raise Stop
            super()._append({name: frame})


@pytest.mark.parametrize("case", ["staged_validate_z"])
def test_stopped_between_the_tables_of_an_append(case):
    answer = tables(run_case(case))
    for number in itertools.count(1):
        store = CutStore(number)
        try:
            run_case(case, db=store)
            break
        except Stop:
            store.verify()
        run = run_case(case, db=store)
        assert_same(run, answer)
        assert run.table("null_hypos")["position"].tolist() == [0]
    assert number > 5
