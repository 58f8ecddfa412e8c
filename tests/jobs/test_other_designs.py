"""A job goes on with its own design only: what is simulated tells it, whatever its source says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.special import ndtri

import adagrid as ada
from adagrid.errors import ResumeError
from adagrid.stores.pandas import PandasStore

GRID = ada.cartesian_grid([-1], [0.3], n=1, null_hypos=["theta0 <= 0"])


class FromFile(ada.Model):
    """A z-test that is shifted by a number in a file."""

    family = ada.Normal()
    reject_when = "large"

    def __init__(self, path):
        self.shift = float(Path(path).read_text())

    def draw(self, key):
        """Return the chance of one trial."""
        return jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        """Return z."""
        return draw + theta[0] + self.shift


class Held(FromFile):
    """The same, whose shift is set later, or held in an array."""

    def __init__(self):
        self.shift = np.zeros(1)

    def statistic(self, draw, theta, null_truth):
        """Return z."""
        return draw + theta[0] + self.shift[0]


class Arrays(ada.ArrayModel):
    """The same without JAX."""

    family = ada.Normal()
    reject_when = "large"

    def __init__(self):
        self.shift = np.zeros(1)

    def simulate(self, begin, end, theta, null_truth):
        """Return z."""
        return ndtri(self.uniforms(begin, end, 1)).T + theta + self.shift


def _run(design, store, **how):
    return ada.validate(design, threshold=1.96, grid=GRID, n_sims=256, db=store, **how)


def _resume(design, store, **how):
    return ada.ada_validate(design, db=store, **how)


def test_a_file_that_changed(tmp_path):
    store, path = PandasStore(), tmp_path / "shift"
    path.write_text("0")
    _run(FromFile(str(path)), store)
    _resume(FromFile(str(path)), store)
    path.write_text("1")
    with pytest.raises(ResumeError, match="simulates something else than it did"):
        _resume(FromFile(str(path)), store)


@pytest.mark.parametrize("design", [Held, Arrays])
@pytest.mark.parametrize("change", ["set later", "changed in place"])
def test_attributes_that_changed(design, change):
    store, own, other = PandasStore(), design(), design()
    _run(own, store)
    _resume(other, store)
    if change == "set later":
        other.shift = np.ones(1)
    else:
        other.shift[:] = 1
    with pytest.raises(ResumeError, match="simulates something else than it did"):
        _resume(other, store)


def test_an_accepted_change_is_told_for_ever():
    store, other = PandasStore(), Held()
    assert "another version" not in _run(Held(), store).summary()
    other.shift[:] = 1
    assert _resume(other, store, accept_changed_model=True).changed_model
    again = _resume(other, store)
    assert again.changed_model
    assert "Parts were simulated with another version of the design" in again.summary()
    assert ada.open_job(store).changed_model


def test_programs_of_another_jax_are_no_other_design(monkeypatch):
    """They cannot be compared, so that the source decides."""
    store = PandasStore()
    _run(Held(), store)
    monkeypatch.setattr("jax.__version__", "0.0")
    assert not _resume(Held(), store).changed_model


MODULE = """
import adagrid as ada


class Test(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth){more}
"""


def _imported(tmp_path, monkeypatch, more):
    """Return the design of a module that is imported anew."""
    folder = tmp_path / f"version{len(more)}"
    folder.mkdir()
    (folder / "own_design.py").write_text(MODULE.format(more=more))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_design", raising=False)
    return importlib.import_module("own_design").Test()


def test_the_difference_of_sources_is_shown(tmp_path, monkeypatch):
    store = PandasStore()
    run = _run(_imported(tmp_path, monkeypatch, ""), store)
    assert run.record.model.source.startswith("class Test(ada.ZTest):")
    with pytest.raises(ResumeError) as told:
        _resume(_imported(tmp_path, monkeypatch, " + 1.0"), store)
    monkeypatch.delitem(sys.modules, "own_design")
    lines = str(told.value).splitlines()
    assert "-        return super().statistic(draw, theta, null_truth)" in lines
    assert "+        return super().statistic(draw, theta, null_truth) + 1.0" in lines
