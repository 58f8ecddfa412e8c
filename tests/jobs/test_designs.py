"""Designs that travel do what they do here, or are refused."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import cloudpickle
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.errors import BackendError, ResumeError
from adagrid.runtime.sent_design import SentDesign
from tests.support import flat
from tests.support.compilations import compilations

_DESIGN = """
import adagrid as ada

SHIFT = {shift}


class Shifted(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth) + SHIFT
"""
# A constant that a function changes is no tuple or number.
_LISTED = """
import adagrid as ada

FACTORS = [{factor}]


class Listed(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth) * FACTORS[0]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module whose text can be changed behind the process's back."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"shifted_{os.getpid()}_{tmp_path.name}"

    def imported(shift):
        (tmp_path / f"{name}.py").write_text(_DESIGN.format(shift=shift))
        sys.modules.pop(name, None)
        __import__(name)
        return sys.modules[name]

    yield imported
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "model",
    [ada.ZTest(), ada.FisherExact(10), ada.TTest(n=5), ada.GroupSequential(3), ada.DecisionTable.of(ada.Boschloo(5))],
)
def test_same_design_is_compiled_once(model):
    """A worker that receives a design again, as another run sends it, compiles nothing."""

    def simulated(seed):
        simulator, _ = SentDesign.of(model, ()).received(seed, 1, ada.engine.Shape(16, 1))
        return simulator.smallest(np.full((1, model.family.dim), -0.5), np.ones((1, 1), bool), 16, 16)

    first = simulated(7)
    with compilations() as names:
        assert (simulated(8) != first).any()
        np.testing.assert_array_equal(simulated(7), first)
    assert names == []


def test_another_design_is_another(module):
    """Although they differ in an argument only."""
    shape = ada.engine.Shape(16, 1)
    first, second = (SentDesign.of(ada.FisherExact(n), ()).received(7, 1, shape)[0] for n in (10, 11))
    assert (first.model.arguments, second.model.arguments) == ({"n": 10}, {"n": 11})


def test_rounded_design():
    """The design itself travels, and is rounded where it arrives."""

    class Mean(ada.ZTest):
        def statistic(self, draw, theta, null_truth):
            return jnp.tanh(super().statistic(draw, theta, null_truth))

    sent = SentDesign.of(Mean(), ())
    simulator, _ = sent.received(7, 1, ada.engine.Shape(16, 1), (-1.0, 1.0))
    assert isinstance(simulator.model, Mean)
    assert simulator.value_range == (-1.0, 1.0)
    assert sent.code == SentDesign.of(Mean(), ()).code != SentDesign.of(ada.ZTest(), ()).code


def test_module_edited_since_it_was_imported(module):
    """The worker runs what it has imported, whatever its file says now."""
    sent = SentDesign.of(module(0.0).Shifted(), ())
    sent.received(7, 1, ada.engine.Shape(16, 1))
    module(-0.5)
    with pytest.raises(BackendError, match=r"other code than the leader for the design shifted_.*:Shifted"):
        sent.received(7, 1, ada.engine.Shape(16, 1))


def test_helper_edited_since_it_was_imported(tmp_path, monkeypatch):
    """Also in a module that the design's only imports, which is what an argument refers to."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"scaled_{os.getpid()}"

    def scale(factor):
        (tmp_path / f"{name}.py").write_text(f"def scale(x):\n    return x * {factor}\n")
        sys.modules.pop(name, None)
        __import__(name)
        return sys.modules[name].scale

    sent = SentDesign.of(Scaled(scale(1.0)), ())
    try:
        sent.received(7, 1, ada.engine.Shape(16, 1))
        scale(2.0)
        with pytest.raises(BackendError, match=r"other code than the leader for the design .*:Scaled"):
            sent.received(7, 1, ada.engine.Shape(16, 1))
    finally:
        del sys.modules[name]


class Scaled(ada.ZTest):
    """A z-test with a function as an argument."""

    def __init__(self, scale):
        super().__init__()
        self._given = scale

    def statistic(self, draw, theta, null_truth):
        return self._given(super().statistic(draw, theta, null_truth))


class Read(ada.ZTest):
    """A z-test that reads its shift again wherever it arrives."""

    def __init__(self, path):
        super().__init__()
        self.shift = float(Path(path).read_text())

    def __reduce__(self):
        return type(self), (self.arguments["path"],)

    def statistic(self, draw, theta, null_truth):
        return super().statistic(draw, theta, null_truth) + self.shift


class ReadInArrays(ada.ArrayModel):
    """The same without JAX."""

    family, __reduce__ = ada.Normal(), Read.__reduce__

    def __init__(self, path):
        self.shift = float(Path(path).read_text())

    def simulate(self, begin, end, theta, null_truth):
        return ndtri(self.uniforms(begin, end, 1)).T + theta + self.shift


def test_file_that_is_another_one_where_a_design_arrives(tmp_path):
    """The code is the same: what is simulated tells."""
    path, shape = tmp_path / "shift", ada.engine.Shape(16, 1)
    path.write_text("0")
    designs = Read(str(path)), ReadInArrays(str(path))
    sent = [SentDesign.of(each, (), Simulator(each, 7, 1, shape=shape).fingerprint) for each in designs]
    for each in sent:
        each.received(7, 1, shape)
    path.write_text("1")
    for each in sent:
        with pytest.raises(BackendError, match="other code than the leader"):
            each.received(7, 1, shape)


def test_a_job_is_not_continued_with_another_constant(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name, path = f"listed_{os.getpid()}", tmp_path / "job.duckdb"

    def run(factor, **more):
        (tmp_path / f"{name}.py").write_text(_LISTED.format(factor=factor))
        sys.modules.pop(name, None)
        __import__(name)
        grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
        flat.ada_validate(sys.modules[name].Listed(), threshold=-1.96, grid=grid, db=path, n_steps=1, **more).close()

    try:
        run(0.5)
        run(0.5)
        with pytest.raises(ResumeError, match="has the source code"):
            run(2.0)
        run(0.5)
    finally:
        sys.modules.pop(name, None)


def test_another_python():
    sent = SentDesign.of(ada.ZTest(), ())
    other = replace(sent, python=(2, 7))
    with pytest.raises(BackendError, match=r"led by Python 2\.7"):
        other.received(7, 1, ada.engine.Shape(16, 1))


def test_classes_that_travel_themselves():
    """A class of a script or notebook has the same code on the other side."""

    class Written(ada.ZTest):
        kinds = frozenset({"a", "b", "c"})

        def statistic(self, draw, theta, null_truth):
            return super().statistic(draw, theta, null_truth) if "a" in {"a", "b"} else draw

    text = cloudpickle.dumps(SentDesign.of(Written(), ()))
    script = textwrap.dedent(
        """
        import sys, cloudpickle, adagrid as ada
        sent = cloudpickle.loads(sys.stdin.buffer.read())
        print(type(sent.received(7, 1, ada.engine.Shape(16, 1))[0].model).__qualname__)
        """
    )
    answer = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, check=True)
    assert answer.stdout.decode().strip().endswith("Written")
