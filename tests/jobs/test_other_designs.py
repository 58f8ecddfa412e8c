"""A job goes on with its own design only: what is simulated tells it, whatever its source says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import adagrid as ada
from adagrid.errors import CorruptStoreError, ResumeError
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat

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
    return flat.validate(design, threshold=1.96, grid=GRID, n_sims=256, db=store, **how)


def _resume(design, store, **how):
    return flat.ada_validate(design, db=store, **how)


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


def _adaptive(store, design, steps, **how):
    """Run a job that goes on for a number of steps."""
    settings = {"init_sims": 64, "max_sims": 512, "step_size": 4}
    if store.exists:
        return _resume(design, store, overrides={"n_steps": steps}, **how)
    return flat.ada_validate(design, threshold=1.96, grid=GRID, db=store, n_steps=steps, **settings)


def test_rows_say_which_design_was_simulated():
    """Also in a job that goes back to an earlier one; the share is of the simulations behind the bound."""
    store, own, other = PandasStore(), Held(), Held()
    other.shift[:] = 1
    assert _adaptive(store, own, 1).share_of_other_designs == 0
    run = _adaptive(store, other, 2, accept_changed_model=True)
    results = run.results(active=False)
    assert (results["design"] == (results["step_id"] > 0)).all()
    spent = results["n_sims"].groupby(results["design"]).sum()
    assert run.share_of_other_designs == spent[0] / spent.sum()
    assert f"(accept_changed_model): {run.share_of_other_designs:.1%} of the simulations" in run.summary()
    run.verify()
    assert _adaptive(store, own, 3, accept_changed_model=True).record.design == 0
    assert [record["design"] for record in run.table("config")["record"]] == [0, 1, 1, 0, 0]


def test_a_design_of_rows_that_no_start_has_recorded():
    run = _run(Held(), PandasStore())
    rows = run._store.table("results").assign(design=1)
    store = PandasStore()
    store.create(run._store.schema)
    store.append(
        {
            name: rows if name == "results" else run._store.table(name)
            for name in store.schema.tables
            if name != "schema"
        }
    )
    with pytest.raises(CorruptStoreError, match="no start has recorded the design"):
        ada.open_job(store).verify()


def test_a_begun_step_is_finished_with_a_design_that_is_recorded_before(monkeypatch):
    """A kill at any time leaves no row whose design nobody knows."""
    store, own, other = PandasStore(), Held(), Held()
    other.shift[:] = 1
    _adaptive(store, own, 1)

    def stopped(job, place, n_tiles, n_done):
        raise KeyboardInterrupt

    for design, how in ((own, {}), (other, {"accept_changed_model": True})):
        with monkeypatch.context() as context:
            context.setattr("adagrid.methods.tiles.step.finish_step", stopped)
            with pytest.raises(KeyboardInterrupt):
                _adaptive(store, design, 2, **how)
    assert [record["design"] for record in ada.open_job(store).table("config")["record"]] == [0, 0, 1]
    _adaptive(store, other, 2).verify()


INTERACTIVE = """
import adagrid as ada
from scipy.special import ndtr, ndtri

class Test(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth)

class InArrays(ada.ArrayModel):
    family = ada.Normal()
    def simulate(self, begin, end, theta, null_truth):
        return ndtri(self.uniforms(begin, end, 1)).T + theta
"""


def test_a_design_without_a_file():
    """The program tells whether it is the same; of arrays nobody can tell."""
    names = {"__name__": "interactive_session"}
    exec(INTERACTIVE, names)
    store = PandasStore()
    assert _run(names["Test"](), store).record.model.source is None
    assert not _resume(names["Test"](), store).changed_model
    store = PandasStore()
    _run(names["InArrays"](), store)
    with pytest.raises(ResumeError, match="source of its design could not be found"):
        _resume(names["InArrays"](), store)
    assert _resume(names["InArrays"](), store, accept_changed_model=True).changed_model


TABLE = np.zeros(2)


class Referring(Arrays):
    """A design without JAX whose shift is an array of its class and one of its module."""

    kept = np.zeros(1)

    def simulate(self, begin, end, theta, null_truth):
        """Return z."""
        return super().simulate(begin, end, theta, null_truth) + self.kept[0] + TABLE[1]


@pytest.mark.parametrize("array", [Referring.kept, TABLE], ids=["of the class", "of the module"])
def test_an_array_that_a_design_refers_to(array):
    store = PandasStore()
    _run(Referring(), store)
    _resume(Referring(), store)
    array[-1] = 1
    try:
        with pytest.raises(ResumeError, match="simulates something else than it did"):
            _resume(Referring(), store)
    finally:
        array[-1] = 0


class Computed(ada.ZTest):
    """A z-test that computes its errors from a number which its trials do not have."""

    margin = 0.0

    def exact_error(self, theta, null_truth, threshold):
        """Return the error."""
        return ndtr(threshold + theta[:, 0]) + self.margin

    def exact_threshold(self, theta, null_truth, level):
        """Return the threshold."""
        return ndtri(level) - theta[:, 0]


def test_what_a_design_computes_is_no_part_of_its_program():
    store, other = PandasStore(), Computed()
    flat.validate(Computed(), threshold=-1.96, grid=GRID, db=store, n_sims=256)
    other.margin = 0.01
    _resume(Computed(), store)
    with pytest.raises(ResumeError, match="simulates something else than it did"):
        _resume(other, store)


FAMILIES = """
import adagrid as ada

class Own(ada.Family):
    dim = 1
    coordinates = "means"

    def log_partition(self, theta):
        return {factor} * theta[..., 0] ** 2
"""


def test_what_a_family_computes_is_no_part_of_the_program(tmp_path, monkeypatch):
    """Nor of what a design holds."""
    store = PandasStore()
    for factor, run in ((0.5, _run), (0.5, _resume), (0.6, _resume)):
        folder = tmp_path / f"{factor} {run.__name__}"
        folder.mkdir()
        (folder / "own_family.py").write_text(FAMILIES.format(factor=factor))
        with monkeypatch.context() as context:
            context.syspath_prepend(folder)
            design = Held()
            design.family = importlib.import_module("own_family").Own()
        try:
            if factor == 0.5:
                run(design, store)
            else:
                with pytest.raises(ResumeError, match="source of its design's family has changed"):
                    run(design, store)
        finally:
            del sys.modules["own_family"]


@pytest.mark.parametrize(("attribute", "value"), [("reject_when", "small"), ("precision", "double")])
def test_direction_and_precision_can_never_change(attribute, value):
    """Wherever they were set."""
    store, other = PandasStore(), Held()
    _run(Held(), store)
    setattr(other, attribute, value)
    with pytest.raises(ResumeError, match="Its design has the (direction|precision) '"):
        _resume(other, store, accept_changed_model=True)


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
    assert "class Test(ada.ZTest):" in run.record.model.source.splitlines()
    with pytest.raises(ResumeError) as told:
        _resume(_imported(tmp_path, monkeypatch, " + 1.0"), store)
    monkeypatch.delitem(sys.modules, "own_design")
    lines = str(told.value).splitlines()
    assert "-        return super().statistic(draw, theta, null_truth)" in lines
    assert "+        return super().statistic(draw, theta, null_truth) + 1.0" in lines
