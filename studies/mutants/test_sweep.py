"""A sweep tells mutants that tests notice from changes that they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studies.mutants.mutant import catalogue
from studies.mutants.report import page
from studies.mutants.sweep import copy_source, failing, try_mutant


@pytest.mark.sample
def test_a_mutant_is_noticed_and_a_harmless_change_is_not(tmp_path):
    (mutant,) = (each for each in catalogue() if each.name == "rank-zero-is-one")
    harmless = replace(mutant, name="harmless", after=f"{mutant.before}  # as before")
    found = {each.name: try_mutant(each, tmp_path / each.name, narrow=True) for each in (mutant, harmless)}
    killer = found[mutant.name].killer
    assert killer is not None
    assert killer.startswith("tests/unit/estimation/test_order_statistic.py::test_")
    assert found["harmless"].killer is None
    text = page([mutant, harmless], found)
    assert "**1 of 2 mutants survive: harmless.**" in text
    assert killer.removeprefix("tests/").partition("[")[0] in text
    copy_source(tmp_path / "unchanged")
    assert failing(tmp_path / "unchanged", [killer]) is None
    assert failing(tmp_path / mutant.name, [killer]) == killer
