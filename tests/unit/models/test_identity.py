"""What a job records about its design tells whether it has changed."""

from __future__ import annotations

import functools
import importlib
import os
import re
import subprocess
import sys
import textwrap
import types
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import adagrid as ada
from adagrid._content import content_hash
from adagrid._source import bare_text, code_hash, source_of
from adagrid.errors import InvalidInputError
from adagrid.families import Normal
from adagrid.models._identity import model_arguments, model_content
from tests.support import flat


def model_fingerprint(model):
    """Return what a record tells of a design without its program."""
    source = source_of([model])
    return bare_text(source.text), source.data, model_content(model)


def code_fingerprint(model):
    """Return what a process compares with the one that sent a design."""
    return code_hash([model], source_of([model]).names)


class Negated(ada.Model):
    """Another design with its sign changed."""

    def __init__(self, inner):
        self.family, self._inner = inner.family, inner

    def draw(self, key):
        return self._inner.draw(key)

    def statistic(self, draw, theta, null_truth):
        return -self._inner.statistic(draw, theta, null_truth)


class Doubled(ada.ZTest):
    """A z-test with another statistic."""

    def statistic(self, draw, theta, null_truth):
        return 2 * super().statistic(draw, theta, null_truth)


def test_a_design_inside_another_is_part_of_it():
    """A job is not continued where the source of the inner one has changed."""
    for around in (Negated, lambda inner: Negated(Negated(inner))):
        assert model_fingerprint(around(ada.ZTest())) == model_fingerprint(around(ada.ZTest()))
        assert model_fingerprint(around(ada.ZTest())) != model_fingerprint(around(Doubled()))


def test_a_design_that_is_no_argument_is_part_of_the_one_around_it():
    """Such as one that is set afterwards."""
    designs = [Negated(ada.ZTest()) for _ in range(3)]
    for design, inner in zip(designs, (ada.ZTest(), ada.ZTest(), Doubled()), strict=True):
        design.others = {"in a list": [inner]}
    one, same, other = map(model_fingerprint, designs)
    assert one == same
    assert one != other


# A module: what precedes the design, what its statistic returns, and members of its class.
_MODULE = """
import enum, functools, math
from dataclasses import dataclass, field
from fractions import Fraction

import jax, jax.numpy as jnp, numpy as np, pandas as pd, scipy.stats
import adagrid as ada
from adagrid.families import Normal
from scipy.stats import norm

{before}

class Base(ada.Model):
    family = Normal(sd=1.0, n=1)

    def draw(self, key):
        return jax.random.normal(key)

class Design(Base{mixin}):
{members}
    def statistic(self, draw, theta, null_truth):
        return {returned}
"""

# Whatever V is in each: the modules with V = 1.0 and V = 2.0 simulate different trials.
_CASES = {
    "constant": ("C = V", "draw * C"),
    "literal": ("", "draw * V"),
    "type of a literal": ("C = {1.0: 1, 2.0: 1.0}[V]", "draw * C"),
    "sign of zero": ("C = {1.0: 0.0, 2.0: -0.0}[V]", "draw * C"),
    "constant in an inner function": ("C = V", "(lambda x: x * C)(draw)"),
    "constant in a comprehension": ("C = V", "sum([x * C for x in [draw]])"),
    "constant in a class inside": ("C = V\ndef f():\n    class A:\n        c = C\n    return A.c", "draw * f()"),
    "helper in a lambda": ("def helper(x):\n    return x * V", "(lambda x: helper(x))(draw)"),
    "lambda": ("f = lambda x: x * V; g = lambda x: x", "f(g(draw))"),
    "which lambda": ("f = [lambda x: x, lambda x: x + 1, lambda x: lambda y: x][int(V)]", "f(draw)"),
    "lambda in a lambda": ("f = lambda x: lambda y: x * y\nf = {1.0: f, 2.0: f(1)}[V]", "f(draw)"),
    "list": ("C = [V]", "draw * C[0]"),
    "dict": ("C = {'a': V}", "draw * C['a']"),
    "order of a dict": ("C = dict([('a', 1.0), ('b', 2.0)][::int(3 - 2 * V)])", "draw * list(C.values())[0]"),
    "set": ("C = {V, 'a', 'b'}", "draw * (1.0 in C)"),
    "frozenset": ("C = frozenset({(V, 'a'), ('b',)})", "draw * len(C)"),
    "list in a tuple in a dict": ("C = {'a': ([V],)}", "draw * C['a'][0][0]"),
    "NumPy number": ("C = np.float32(V)", "draw * C"),
    "NumPy array": ("C = np.zeros(5000); C[2500] = V", "draw * C[2500]"),
    "type of an array": ("C = np.ones(2, {1.0: 'f4', 2.0: 'f8'}[V])", "draw * C[0]"),
    "array of objects": ("C = np.array([V, 'a', None], object)", "draw * C[0]"),
    "masked array": ("C = np.ma.array([1.0, 2.0], mask=[V == 1.0, False])", "draw * C.sum()"),
    "structured array": ("C = np.array([(1, V)], [('a', 'i1'), ('b', 'f8')])", "draw * C['b'][0]"),
    "JAX array": ("C = jnp.array([V])", "draw * C[0]"),
    "weak type": ("C = {1.0: jnp.asarray(1.0), 2.0: jnp.float32(1.0)}[V]", "draw * C"),
    "random key": ("C = jax.random.key(int(V))", "draw + jax.random.normal(C)"),
    "data frame": ("C = pd.DataFrame({'a': ['x', 'y'], 'b': [1.0, V]})", "draw * C.b[1]"),
    "series": ("C = pd.Series([1.0], index=[V])", "draw * C.index[0]"),
    "range, fraction, partial": ("C = [range(int(V)), Fraction(V), functools.partial(max, V)]", "draw * len(C[0])"),
    "enum": ("class C(enum.Enum):\n    A = V", "draw * C.A.value"),
    "member of an enum": ("class C(enum.Enum):\n    A = 1\n    B = 2\nD = C(int(V))", "draw * D.value"),
    "data class": ("@dataclass\nclass C:\n    a: float = V", "draw * C().a"),
    "factory of a data class": (
        "@dataclass\nclass C:\n    a: list = field(default_factory=lambda: [V])",
        "draw * C().a[0]",
    ),
    "instance of a data class": (
        "@dataclass(frozen=True)\nclass C:\n    a: object\nc = C(np.array([V]))",
        "draw * c.a[0]",
    ),
    "instance with slots": ("class C:\n    __slots__ = ('a',)\nc = C()\nc.a = V", "draw * c.a"),
    "jax.jit": ("@jax.jit\ndef helper(x):\n    return x * V", "helper(draw)"),
    "jax.jit of a partial": (
        "def helper(c, x):\n    return x * c\nh = jax.jit(functools.partial(helper, V))",
        "h(draw)",
    ),
    "jax.vmap": ("def helper(x):\n    return x * V\nh = jax.vmap(helper)", "h(draw[None])[0]"),
    "jax.custom_jvp": (
        "@jax.custom_jvp\ndef h(x):\n    return x\n@h.defjvp\ndef d(p, t):\n    return p[0], V",
        "h(draw)",
    ),
    "functools.cache": ("@functools.cache\ndef helper():\n    return V", "draw * helper()"),
    "functools.wraps": (
        "def twice(f):\n    @functools.wraps(f)\n    def g(x):\n        return 2 * f(x)\n    return g\n"
        "@twice\ndef helper(x):\n    return x * V",
        "helper(draw)",
    ),
    "singledispatch": ("@functools.singledispatch\ndef h(x):\n    return x * V", "h(draw)"),
    "partial": ("def helper(c, x):\n    return x * c\nh = functools.partial(helper, V)", "h(draw)"),
    "bound method": (
        "class C:\n    def __init__(self, c):\n        self.c = c\n    def f(self, x):\n        return x * self.c\n"
        "f = C(V).f",
        "f(draw)",
    ),
    "attribute of a function": ("def helper(x):\n    return x * helper.c\nhelper.c = V", "helper(draw)"),
    "frozen distribution": ("C = scipy.stats.norm(0.0, V)", "draw * C.std()"),
    "helper class": ("class C:\n    c = V", "draw * C.c"),
    "base of a helper class": ("class B:\n    c = V\nclass C(B):\n    pass", "draw * C.c"),
    "metaclass": ("class M(type):\n    def f(cls):\n        return V\nclass C(metaclass=M):\n    pass", "draw * C.f()"),
    "instance that is called": ("class C:\n    def __call__(self, x):\n        return x * V\nc = C()", "c(draw)"),
    "helper of a helper": (
        "def a(x):\n    return x * V\ndef b(x):\n    return a(x)\ndef c(x):\n    return b(x)",
        "c(draw)",
    ),
    "functions that call each other": (
        "def a(x):\n    return b(x) if x is 0 else x * V\ndef b(x):\n    return a(x)",
        "b(draw)",
    ),
    "list in itself": ("C = [V]\nC.append(C)", "draw * C[0]"),
    "objects in each other": ("class C:\n    pass\na, b = C(), C()\na.b, b.a, b.c = {b}, {a}, V", "draw * [*a.b][0].c"),
    "design in a closure": (
        "class Other(ada.ZTest):\n    def statistic(self, d, t, n):\n        return d * V\n"
        "def made(design):\n    def f(d, t, n):\n        return design.statistic(d, t, n)\n    return f\n"
        "f = made(Other())",
        "f(draw, theta, null_truth)",
    ),
    "argument of a design in a closure": (
        "def made(design):\n    return lambda d, t, n: design.statistic(d, t, n)\nf = made(ada.ZTest(n=int(V)))",
        "f(draw, theta, null_truth)",
    ),
    "default": ("", "draw * c", ", c=V"),
    "default from a constant": ("C = V", "draw * c", ", c=C"),
    "default by keyword": ("C = V", "draw * c", ", *, c=C"),
    "class attribute": ("C = V", "draw * self.c", "c = C"),
    "property": ("C = V", "draw * self.c", "@property\ndef c(self):\n    return C"),
    "cached property": ("C = V", "draw * self.c", "@functools.cached_property\ndef c(self):\n    return C"),
    "static method": ("C = V", "draw * self.c()", "@staticmethod\ndef c():\n    return C"),
    "class method": ("C = V", "draw * self.c()", "@classmethod\ndef c(cls):\n    return C"),
    "method that is compiled": ("C = V", "self(draw)", "__call__ = jax.jit(lambda self, x: x * C, static_argnums=0)"),
    "class inside": ("C = V", "draw * self.C.c", "class C:\n    c = C"),
    "mixin": ("class Mixin:\n    c = V", "draw * self.c", "mixin"),
    "mixin behind": ("class Mixin:\n    def c(self):\n        return V", "draw * self.c()", "mixin"),
    "in a list in an argument's default": (
        "class P(Base0):\n    def statistic(self, d, t, n):\n        return d * V",
        "self.parts[0].statistic(draw, theta, 0)",
        "def __init__(self):\n    self.parts = {'a': [P()]}",
    ),
    "other module": ("import helpers", "helpers.helper(draw)"),
    "other module by another name": ("import helpers as h", "h.Class.c * draw"),
    "class of another module": ("from helpers import Class", "Class.c * draw"),
    "module in a package": ("import package.inner", "package.inner.helper(draw)"),
    "module of a package": ("from package import inner", "inner.helper(draw)"),
    "function of a module of a package": ("from package import again", "again(draw)"),
    "import when called": ("def f(x):\n    import helpers\n    return helpers.helper(x)", "f(draw)"),
    "array imported when called": ("def f(x):\n    from helpers import TABLE\n    return x * TABLE[0]", "f(draw)"),
    "number imported when called": ("def f(x):\n    from helpers import ZERO\n    return x + ZERO", "f(draw)"),
    "import from when called": ("def f(x):\n    from package import inner as i\n    return i.helper(x)", "f(draw)"),
    "module in a closure": (
        "def made():\n    import helpers\n    return lambda x: helpers.helper(x)\nf = made()",
        "f(draw)",
    ),
}


def _text(case, value):
    before, returned, members = (*_CASES[case], "")[:3]
    mixin, arguments = "", ""
    if members == "mixin":
        members, mixin = "", ", Mixin"
    if members.startswith(", "):
        members, arguments = "", members
    base = "" if "Base0" not in before else "class Base0(ada.Model):\n    family = Normal()\n    draw = None\n"
    text = _MODULE.format(
        before=base + before, returned=returned, members=textwrap.indent(members or "pass", "    "), mixin=mixin
    )
    return text.replace("null_truth):", f"null_truth{arguments}):").replace("V", str(value))


def _write(folder, case, value, *, comment="", name="design"):
    folder.mkdir(parents=True, exist_ok=True)
    helpers = comment + f"def helper(x):\n    return x * {value}\n\nclass Class:\n    c = {value}\n"
    helpers += f"import numpy as np\nTABLE = np.array([{value}, 2.0])\nZERO = {value} - 1.0\n"
    (folder / f"{name}.py").write_text(comment + _text(case, value))
    (folder / "helpers.py").write_text(helpers)
    (folder / "package").mkdir(exist_ok=True)
    (folder / "package" / "__init__.py").write_text(comment + "from .inner import helper as again\n")
    (folder / "package" / "inner.py").write_text(helpers)


@pytest.fixture
def imported(monkeypatch):
    """Returns the design of a module in a folder, imported anew with all that it imports."""
    own = ("design", "helpers", "package", "package.inner", "edited")

    def forget():
        for name in own:
            sys.modules.pop(name, None)

    def design(folder, name="design"):
        forget()
        importlib.invalidate_caches()
        with monkeypatch.context() as context:
            context.syspath_prepend(folder)
            context.setattr(sys, "dont_write_bytecode", True)
            return importlib.import_module(name).Design

    yield design
    forget()


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("case", _CASES)
def test_what_changes_a_statistic_changes_the_fingerprint(tmp_path, imported, case):
    """And nothing else: a comment moves every line, and the folder is another one."""
    told = {}
    for folder, value, comment in (("1", 1.0, ""), ("again", 1.0, "# Moved.\n\n"), ("2", 2.0, "")):
        _write(tmp_path / folder, case, value, comment=comment)
        with pytest.MonkeyPatch.context() as context:
            context.syspath_prepend(tmp_path / folder)  # for what is imported when called
            design = imported(tmp_path / folder)()
            told[folder] = [tell(design) for tell in (model_fingerprint, code_fingerprint)]
            again = cloudpickle.loads(cloudpickle.dumps(design))
            assert [tell(again) for tell in (model_fingerprint, code_fingerprint)] == told[folder]
    assert told["1"] == told["again"]
    assert told["1"][0] != told["2"][0]
    # objects without end are no data; where source is compared, their statements are
    assert told["1"][1] != told["2"][1] or case == "objects in each other"


_TOLD = """
import importlib, random, sys, threading
import numpy as np
folder, *names = sys.argv[1:]
sys.path.insert(0, folder)
modules = {name: importlib.import_module(name) for name in names}
np.random.normal()
from adagrid._source import code_hash, source_of
from adagrid.models._identity import model_content
for name in sorted(names):
    design = modules[name].Design()
    source = source_of([design])
    print(name, source, model_content(design), code_hash([design], source.names))
"""


def test_same_in_every_process(tmp_path):
    """Whatever order sets have, where objects lie in memory, and what was imported before."""
    names = []
    for i, case in enumerate(_CASES):
        _write(tmp_path, case, 1.0, name=f"design{i}")
        names.append(f"design{i}")
    told = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _TOLD, str(tmp_path), *order],
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed, order in (("1", names), ("2", names[::-1]))
    }
    assert len(told) == 1
    assert len(re.findall(rb"^design\d+ Source", told.pop(), re.MULTILINE)) == len(_CASES)


def test_format_comments_and_docstrings_of_functions_do_not_matter(tmp_path, imported):
    before = 'import jax, adagrid as ada\n\n\nclass Design(ada.ZTest):\n    """One."""\n\n'
    texts = (
        "    def statistic(self, draw, theta, null_truth):\n        return (draw + theta[0]) * 2\n",
        "    def statistic(\n        self, draw,\n        theta, null_truth,\n    ):\n"
        '        """Other."""\n        return (  # what\n            draw + theta[0]) * 2\n\n',
    )
    told = []
    for i, text in enumerate(texts):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "design.py").write_text(before + text)
        told.append(model_fingerprint(imported(tmp_path / str(i))()))
    assert told[0] == told[1]


_SCRIPT = """
import sys, adagrid as ada
SHIFT = 1.0

class Design(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        n_steps = SHIFT
        return draw + n_steps

n_steps = {other}
ada.cartesian_grid([-1], [{other}], n=2)
for other in range({other}):
    print(Design().reject_when, n_steps)
if __name__ == "__main__":
    other = flat.validate(Design(), threshold={other})
"""


def test_other_lines_of_a_script_do_not_matter(tmp_path, imported):
    """They run a job, say."""
    told = []
    for other in (2, 3):
        (tmp_path / str(other)).mkdir()
        (tmp_path / str(other) / "design.py").write_text(_SCRIPT.format(other=other))
        told.append(model_fingerprint(imported(tmp_path / str(other))()))
    assert told[0] == told[1]


def test_a_notebook_is_its_cells(monkeypatch):
    """Those that were run twice count once."""
    told = []
    cells = ["import adagrid as ada", "not Python", _SCRIPT.partition("for other")[0].format(other=1)]
    for order in ([0, 2], [0, 1, 2, 2]):
        names = types.ModuleType("notebook")
        names.get_ipython, names.In = print, [cells[i] for i in order]
        monkeypatch.setitem(sys.modules, "notebook", names)
        for cell in names.In:
            if cell != "not Python":
                exec(compile(cell, "/a/cell.py", "exec", dont_inherit=True), vars(names))
        told.append(bare_text(source_of([names.Design()]).text))
    assert "'SHIFT'" in told[0]
    assert told[0] == told[1]


def test_a_file_that_was_edited_after_it_was_imported(tmp_path, imported):
    """What is run is recorded, or nothing; never what would be run the next time."""
    _write(tmp_path, "constant in an inner function", 1.0)
    text = (tmp_path / "design.py").read_text().replace("x * C", "x * C + 1")
    (tmp_path / "edited.py").write_text(text)
    design = imported(tmp_path, "edited")()
    before, code = model_fingerprint(design), code_fingerprint(design)
    (tmp_path / "edited.py").write_text("# A comment that moves the lines.\n\n" + text)
    assert model_fingerprint(design) == before
    (tmp_path / "edited.py").write_text(text.replace("+ 1", "+ 2"))
    assert source_of([design]).text is None
    assert code_fingerprint(design) == code
    assert code_fingerprint(imported(tmp_path, "edited")()) != code


def test_where_a_module_lies_is_no_part_of_it(tmp_path, imported):
    """But which file it reads is."""
    told = []
    for folder, table in (("1", "a.csv"), ("2", "a.csv"), ("1", "b.csv")):
        before = (
            "import os\nfrom pathlib import Path\n"
            "HERE = Path(__file__).parent\n"
            f"TABLE = HERE / {table!r}\n"
            "TEXT = os.path.join(os.path.dirname(__file__), 'c.csv')\n"
            "def helper(x):\n    return HERE, TABLE, TEXT, __file__, __name__\n"
        )
        text = _MODULE.format(before=before, returned="helper(draw)", members="    pass", mixin="")
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "design.py").write_text(text)
        design = imported(tmp_path / folder)()
        told.append([model_fingerprint(design)[:2], code_fingerprint(design)])
    assert told[0] == told[1]
    assert told[0][0] != told[2][0]


def test_packages_that_are_installed_stand_for_themselves(tmp_path, imported):
    """But for the package of the design."""
    told = {}
    for value in (1.0, 2.0):
        folder = tmp_path / str(value) / "site-packages"
        _write(folder, "class of another module", value)
        told[value] = model_fingerprint(imported(folder)())
    assert told[1.0] == told[2.0]
    for value in (1.0, 2.0):
        _write(tmp_path / str(value) / "site-packages", "constant", value)
        told[value] = model_fingerprint(imported(tmp_path / str(value) / "site-packages")())
    assert told[1.0] != told[2.0]


def test_what_a_process_has_computed_is_no_part_of_it():
    class Lazy:
        @functools.cached_property
        def square(self):
            return 4

    lazy = Lazy()
    before = content_hash(lazy)
    assert lazy.square == 4
    assert content_hash(lazy) == before


def test_large_expressions():
    """Without deep recursion."""
    text = "x = " + " + ".join(["1"] * 5000)
    assert bare_text(text) == text


class Given(ada.ZTest):
    """A z-test with an argument."""

    def __init__(self, given=None):
        super().__init__()
        self.given = given


@dataclass(frozen=True)
class Table:
    """A table that has no text of its own."""

    cells: object


def _changed(array):
    array = np.array(array)
    array[len(array) // 2] += 1
    return array


_LARGE = np.arange(5000.0)


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        (Table(_LARGE), Table(_LARGE.copy()), Table(_changed(_LARGE))),
        (Table(jnp.asarray(_LARGE)), Table(jnp.asarray(_LARGE)), Table(jnp.asarray(_changed(_LARGE)))),
        (Table([Table({"a": _LARGE})]), Table([Table({"a": _LARGE.copy()})]), Table([Table({"a": _changed(_LARGE)})])),
        (_LARGE, _LARGE.copy(), _changed(_LARGE)),
        (_LARGE.astype(object), _LARGE.astype(object), _changed(_LARGE).astype(object)),
        (jax.random.key(1), jax.random.key(1), jax.random.key(2)),
        (pd.Series(_LARGE), pd.Series(_LARGE), pd.Series(_changed(_LARGE))),
        ({"a": Table(1)}, {"a": Table(1)}, {"a": Table(2)}),
        ([ada.ZTest(n=2)], [ada.ZTest(n=2)], [ada.ZTest(n=3)]),
        (Negated(ada.ZTest()), Negated(ada.ZTest()), Negated(Doubled())),
        (Normal(sd=1.0), Normal(sd=1.0), Normal(sd=2.0)),
        ({"a", "b", "c"}, {"c", "b", "a"}, {"a", "b"}),
        (1 + 2j, 1 + 2j, 1 - 2j),
        (b"a", b"a", b"b"),
        (Path("/a/x"), Path("/a/x"), Path("/b/x")),
        (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        (functools.partial(max, 1), functools.partial(max, 1), functools.partial(max, 2)),
        (np.random.default_rng(1), np.random.default_rng(1), np.random.default_rng(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arguments_are_told_apart_by_what_they_hold(first, same, other):
    def arguments(given):
        return model_arguments(Given(given))

    assert arguments(first) == arguments(same)
    assert arguments(first) != arguments(other)
    assert arguments(cloudpickle.loads(cloudpickle.dumps(Table(1)))) == arguments(Table(1))


def test_code_in_an_argument_is_code_of_the_design():
    """A worker that has other code of it is refused, although its data are those that were sent."""
    given = [[ada.ZTest()], [Doubled()], {"a": lambda x: x + 1}, {"a": lambda x: x + 2}]
    assert len({model_fingerprint(Given(each)) for each in given}) == 4
    assert len({code_fingerprint(Given(each)) + model_content(Given(each)) for each in given}) == 4
    assert source_of([Given([1.0])]) == source_of([Given([2.0])])


def test_an_argument_that_nothing_can_be_told_of_is_refused():
    with pytest.raises(InvalidInputError, match=r"argument given of Given .*generator.* can be pickled"):
        model_arguments(Given(i for i in range(3)))
    with open(os.devnull) as file, pytest.raises(InvalidInputError, match=r"TextIOWrapper"):
        model_arguments(Given(Table(file)))

    def reads():
        return file

    model_arguments(Given(reads))  # what code refers to is never refused


def test_a_job_with_such_an_argument_is_not_begun(tmp_path):
    path = tmp_path / "job.duckdb"
    grid = ada.cartesian_grid([-1], [0], n=2)
    with pytest.raises(InvalidInputError, match="generator"):
        flat.ada_validate(Given(i for i in range(3)), threshold=1.96, grid=grid, db=path)
    assert not path.exists()
