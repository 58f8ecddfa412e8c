"""Hypotheses as data: what is written down gives the same hypothesis back, and nothing else is accepted."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass, field, make_dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adagrid.errors import InvalidInputError
from adagrid.grid import Ellipsoid, HalfSpace, NullHypothesis, RiskDifference, cartesian_grid
from adagrid.grid.definition import definition, from_definition, sources
from tests.support.curved import Product, Steep, Wave, random_hypothesis


@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(2, 4))
def test_read_again_it_is_the_same(seed, dim):
    generator = np.random.default_rng(seed)
    lower = generator.normal(size=dim)
    hypothesis = random_hypothesis(generator, lower, lower + 1).in_dimension(dim)
    text = definition(hypothesis)
    again = from_definition(text)
    assert type(again) is type(hypothesis)
    assert again == hypothesis
    assert definition(again) == text
    points = generator.normal(size=(50, dim))
    np.testing.assert_array_equal(again.dist(points), hypothesis.dist(points))


def test_what_is_written_down():
    """The form of half-spaces in databases that exist; own classes by their place."""
    assert json.loads(definition(HalfSpace((1.0, -1.0), 0.5))) == {
        "type": "HalfSpace", "normal": [1.0, -1.0], "offset": 0.5,
    }  # fmt: skip
    assert json.loads(definition(Ellipsoid((0, 1), (2, 3))))["type"] == "Ellipsoid"
    assert json.loads(definition(RiskDifference()))["type"] == "RiskDifference"
    own = json.loads(definition(Wave(0.5, 2.0)))
    assert "class " in own.pop("source")
    assert own == {"type": "tests.support.curved:Wave", "height": 0.5, "frequency": 2.0}
    assert json.loads(definition(Steep((1.0, 2.0), 0.0)))["normal"] == [1.0, 2.0]


def test_arrays_and_derived_fields():
    @dataclass(frozen=True, eq=False)
    class Weighted(NullHypothesis):
        weights: np.ndarray
        order: np.int64
        total: float = field(init=False, default=0.0)
        lipschitz = 1.0

        def dist(self, theta):
            return theta[..., 0]

        def describe(self):
            return "weighted"

    again = from_definition(definition(Weighted(np.array([[1.0, 2.0], [3.0, 4.0]]), np.int64(3))))
    assert again.weights == ((1.0, 2.0), (3.0, 4.0))
    assert again.order == 3


@pytest.mark.parametrize(
    "name", ["unknown:Class", "Unknown", "os:system", "subprocess:Popen", "pathlib:Path", "NullHypothesis", "int", ""]
)
def test_nothing_is_imported_or_called_because_of_a_name(name):
    with pytest.raises(InvalidInputError, match="a class that this process does not know"):
        from_definition(json.dumps({"type": name, "args": "true"}))


def test_data_that_do_not_fit_the_class_are_refused():
    for text in (
        '{"type": "HalfSpace", "normal": [0, 0], "offset": 1}',
        '{"type": "Ellipsoid", "centre": "x", "radii": 1}',
    ):
        with pytest.raises(InvalidInputError):
            from_definition(text)


class _Methods:
    lipschitz = 1.0

    def dist(self, theta):
        return theta[..., 0]

    def describe(self):
        return "theta0 >= 0"


class Plain(_Methods, NullHypothesis):
    pass


class Inherits(Product):
    pass


def made(fields, *, frozen=True):
    return make_dataclass("Made", fields, bases=(_Methods, NullHypothesis), frozen=frozen)


@dataclass(frozen=True)
class Growing(_Methods, NullHypothesis):
    size: float

    def __post_init__(self):
        object.__setattr__(self, "size", self.size + 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Plain, r"put @dataclass\(frozen=True\) before class Plain"),
        (Inherits, r"put @dataclass\(frozen=True\) before class Inherits"),
        (lambda: made([("x", float)], frozen=False)(1.0), "frozen=True"),
        (lambda: made([("x", object)])(object()), "finite numbers, strings, or sequences"),
        (lambda: made([("x", object)])(np.sin), "finite numbers, strings, or sequences"),
        (lambda: made([("x", float)])(np.nan), "finite numbers, strings, or sequences"),
        (lambda: made([("x", float)])((1.0, np.inf)), "finite numbers, strings, or sequences"),
        (lambda: made([("type", float)])(1.0), "may have one of the names"),
        (lambda: made([("source", float)])(1.0), "may have one of the names"),
        (lambda: Growing(1.0), "is not what its class makes of its fields"),
    ],
)
def test_hypotheses_that_are_no_data_are_refused_at_once(make, said):
    with pytest.raises(InvalidInputError, match=said):
        cartesian_grid([0, 0], [1, 1], null_hypos=[make()])


_INTERACTIVE = """
from dataclasses import dataclass
import adagrid as ada

@dataclass(frozen=True)
class Disk(ada.NullHypothesis):
    @property
    def lipschitz(self):
        return 1.0

    def dist(self, theta):
        return {radius} - (theta**2).sum(axis=-1) ** 0.5

    def describe(self):
        return "near 0"
"""


def _interactive(radius):
    names = {"__name__": "interactive_session"}
    exec(_INTERACTIVE.format(radius=radius), names)
    return json.loads(definition(names["Disk"]()))["source"]


def test_source_of_a_class_without_a_file():
    """Nobody can tell whether it is the same."""
    assert _interactive(0.3) is None
    text = definition(Ellipsoid((0.0,), (1.0,)))
    one = json.dumps(json.loads(text) | {"source": None})
    assert sources(one, one) == (None, None)
    assert sources(text, text) is None


_MODULE = """
from dataclasses import dataclass

import adagrid as ada

EDGES = [{edge}]


def edge():
    return EDGES[0]


@dataclass(frozen=True)
class Edge(ada.NullHypothesis):
    lipschitz: float = 1.0

    def dist(self, theta):
        return edge() - theta[..., 0]

    def describe(self):
        return "edge"
"""


def test_source_has_what_a_class_refers_to(tmp_path, monkeypatch):
    """A constant that a helper reads moves the boundary; a comment does not."""
    told = {}
    for folder, text in (
        ("first", _MODULE.format(edge=0.0)),
        ("again", "# Moved.\n" + _MODULE.format(edge=0.0).replace("return EDGES", "# Here.\n    return EDGES")),
        ("other", _MODULE.format(edge=0.5)),
    ):
        path = tmp_path / folder / "edge_of_a_user.py"
        path.parent.mkdir()
        path.write_text(text)
        monkeypatch.syspath_prepend(path.parent)
        monkeypatch.delitem(sys.modules, "edge_of_a_user", raising=False)
        told[folder] = definition(importlib.import_module("edge_of_a_user").Edge())
    monkeypatch.delitem(sys.modules, "edge_of_a_user")
    assert sources(told["first"], told["again"]) is None
    assert sources(told["first"], told["other"]) is not None
