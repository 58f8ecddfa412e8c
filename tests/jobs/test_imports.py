"""What is loaded when: a module when a name of it is used, and no library that a command or a job can do without."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adagrid as ada
from adagrid._registry import implementations
from adagrid._source import source_of

SOURCE = Path(ada.__file__).parent
STUBS = sorted(SOURCE.rglob("__init__.pyi"))
HEAVY = {"jax", "numpy", "pandas", "scipy", "pyarrow", "duckdb", "pydantic", "matplotlib"}
# Parts of SciPy of which each takes a tenth of a second to load, and more; what few jobs need; what is for servers.
PARTS = {f"scipy.{part}" for part in ("optimize", "stats", "integrate", "interpolate", "signal", "ndimage", "fft")}
ELSEWHERE = {"asyncio", "dask", "distributed", "modal", "botocore", "clickhouse_connect", "IPython", "matplotlib"}

MAKE_JOBS = """
import json, sys
import adagrid as ada
fixed, interpolated = {paths}
grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
ada.validate(ada.ZTest(), threshold=1.96, grid=grid, db=fixed).close()
loaded = sorted(sys.modules)
grid = ada.cartesian_grid([-1], [0], n=1)
ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, db=interpolated).close()
print(json.dumps([loaded, sorted(sys.modules)]))
"""
RUN_COMMANDS = """
import json, sys
from typer.testing import CliRunner
from adagrid.cli import app
codes = {{}}
for command in {commands}:
    answer = CliRunner().invoke(app, command)
    codes[" ".join(command[:2])] = answer.exit_code
print(json.dumps([codes, sorted(sys.modules)]))
"""


def told(code: str, *, returncode: int = 0, folder: Path | None = None) -> tuple:
    """Return the last line that a new process prints, read as JSON, and what it writes to the standard error."""
    command = [sys.executable, "-c", code]  # which looks for packages in its folder first
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == returncode, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1]), answer.stderr


def test_importing_loads_no_library():
    """Nor does asking what there is, also for what there is not, which has a suggestion."""
    loaded, errors = told(
        """
import json, sys
import adagrid as ada
assert "ZTest" in dir(ada) and "ZTest" in ada.__all__ and "ZTest" in dir(ada.models)
assert not hasattr(ada, "nothing") and issubclass(ada.errors.ModelError, ada.AdagridError)
print(json.dumps(sorted(sys.modules)))
ada.ZTset
""",
        returncode=1,
    )
    assert not {*HEAVY, "rich", "typer"}.intersection(loaded)
    assert "Did you mean: 'ZTest'?" in errors


def test_help_and_version_load_no_library():
    commands = [["--help"], ["version"], ["--version"]]
    (codes, loaded), _ = told(RUN_COMMANDS.format(commands=commands))
    assert set(codes.values()) == {0}
    assert not (HEAVY - {"pydantic"}).intersection(loaded)  # new versions of typer need it


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A job on a fixed grid and one by interpolation; and what their process has loaded after the first, and both."""
    paths = [str(tmp_path_factory.mktemp("jobs") / f"{name}.duckdb") for name in ("fixed", "interpolated")]
    (after_first, after_both), _ = told(MAKE_JOBS.format(paths=paths))
    return paths, set(after_first), set(after_both)


def test_a_job_loads_what_it_needs(jobs):
    _, after_first, after_both = jobs
    assert not after_first & {*PARTS, *ELSEWHERE, "scipy.linalg", "scipy.spatial"}
    assert not after_both & {*PARTS, *ELSEWHERE}


def test_no_command_on_finished_jobs_needs_jax(jobs, tmp_path):
    fixed, interpolated = jobs[0]
    exported, *others = (str(tmp_path / name) for name in ("folder", "second.duckdb", "third.duckdb", "fourth.duckdb"))
    commands = [
        ["show", fixed],
        ["show", interpolated],
        ["verify", fixed],
        ["verify", interpolated],
        ["watch", interpolated],
        ["export", fixed, exported],
        ["import", exported, others[0]],
        ["copy", interpolated, others[1]],
        ["snapshot", interpolated, others[2]],
    ]
    refused = [["drop", fixed], ["jobs", "no server"]]
    (codes, loaded), _ = told(RUN_COMMANDS.format(commands=commands + refused))
    assert codes == {" ".join(command[:2]): int(command in refused) for command in commands + refused}
    assert not {"jax", *PARTS, *ELSEWHERE, "scipy.linalg", "scipy.spatial"}.intersection(loaded)


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_stubs_list_the_names_that_there_are(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(SOURCE.parent).parts))
    assert {line.split()[-1] for line in stub.read_text().splitlines()} == set(dir(package))
    for name in dir(package):
        assert getattr(package, name) is not None


@pytest.mark.parametrize(("package", "base"), [("families", ada.Family), ("models", ada.Model)])
def test_designs_and_families_are_named_as_their_files_and_have_a_line_in_both_stubs(package, base):
    classes = getattr(ada, package).CLASSES
    found = implementations(getattr(ada, package), base)
    assert {module: cls.__name__ for module, cls in found.items()}.items() <= classes.items()
    assert classes.keys() - found.keys() <= {"arrays", "design", "family", "model"}, (
        "begin the names of modules for helpers with _"
    )
    for folder, line in (
        (package, "from .{module} import {name} as {name}"),
        ("", "from .{0} import {name} as {name}"),
    ):
        stub = SOURCE / folder / "__init__.pyi"
        wanted = {line.format(package, module=module, name=name) for module, name in classes.items()}
        missing = sorted(wanted.difference(stub.read_text().splitlines()))
        assert not missing, f"type checkers know a class by a line in {stub.relative_to(SOURCE.parent)}: add {missing}"


def test_a_design_in_a_new_file_is_found(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "adagrid")
    (tmp_path / "adagrid" / "models" / "two_by_two.py").write_text("class TwoByTwo: pass")
    (tmp_path / "adagrid" / "models" / "_helpers.py").write_text("")
    code = """
import json
import adagrid as ada
assert ada.TwoByTwo is ada.models.TwoByTwo
print(json.dumps([ada.TwoByTwo.__module__, "TwoByTwo" in ada.__all__, "Helpers" in ada.__all__]))
"""
    assert told(code, folder=tmp_path)[0] == ["adagrid.models.two_by_two", True, False]


def test_names_are_those_of_a_plain_import():
    space: dict[str, object] = {}
    exec("from adagrid import *", space)
    assert space.keys() - {"__builtins__"} == set(ada.__all__)
    assert b"adagrid.models.z_test" in pickle.dumps(ada.ZTest)
    assert pickle.loads(pickle.dumps(ada.ZTest)) is ada.ZTest


def test_a_new_process_knows_the_hypotheses_of_a_database():
    """The classes of null hypotheses are loaded when a job's are read."""
    described, _ = told("""
import json
from adagrid.grid.definition import from_definition
curved = '{"type": "RiskDifference", "treatment": 1, "control": 0, "margin": 0.1}'
ball = '{"type": "Ellipsoid", "centre": [0.0], "radii": [1.0], "null": "outside"}'
print(json.dumps([type(from_definition(text)).__name__ for text in (curved, ball)]))
""")
    assert described == ["RiskDifference", "Ellipsoid"]


def test_a_slice_of_source_does_not_depend_on_what_is_loaded(tmp_path, monkeypatch):
    """Names of packages that load their modules later count from the beginning, also names of modules."""
    lazily = tmp_path / "lazily"
    lazily.mkdir()
    (lazily / "__init__.py").write_text(
        "import lazy_loader\n"
        "__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={'parts': ['helper']})\n"
    )
    (lazily / "parts.py").write_text("def helper():\n    return 1\n")
    (tmp_path / "uses_lazily.py").write_text(
        "def by_name():\n    import lazily\n    return lazily.helper()\n"
        "def by_module():\n    import lazily\n    return lazily.parts.helper()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("uses_lazily")
    for function in (module.by_name, module.by_module):
        for name in ("lazily", "lazily.parts"):
            sys.modules.pop(name, None)
        before = source_of([function])
        assert "return 1" in before.text
        assert importlib.import_module("lazily").helper() == 1
        assert source_of([function]) == before
