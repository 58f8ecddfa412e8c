"""The surface: names, documentation, what importing does, and the command line."""

from __future__ import annotations

import inspect
import io
import json
import subprocess
import sys

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import adagrid as ada
from adagrid.cli import app
from adagrid.screens import Fitting
from adagrid.stores.duckdb import DuckDBStore
from tests.support import flat
from tests.support.paths import ROOT

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


def test_all_is_sorted_and_complete():
    assert ada.__all__ == sorted(ada.__all__)
    public = {name for name in dir(ada) if not name.startswith("_") and not inspect.ismodule(getattr(ada, name))}
    assert public | {"errors"} == set(ada.__all__)


def test_everything_public_is_documented():
    for name in ada.__all__:
        assert inspect.getdoc(getattr(ada, name)), name


@pytest.mark.parametrize("entry", ["ada_validate", "ada_calibrate", "validate", "bootstrap_calibrate"])
def test_every_argument_is_documented_and_keyword_only(entry):
    function = getattr(ada, entry)
    text = inspect.getdoc(function)
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        assert f"\n    {name}: " in text, name
        assert parameter.annotation is not inspect.Parameter.empty, name
        assert name == "model" or parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_importing_starts_nothing():
    code = """
import json, sys, threading
import adagrid
from jax._src import xla_bridge
import jax
print(json.dumps([len(xla_bridge._backends), bool(jax.config.jax_enable_x64), threading.active_count(),
                  sorted({"matplotlib", "IPython", "dask", "distributed", "modal", "botocore"} & set(sys.modules))]))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == [0, False, 1, []]


def test_every_command_has_help():
    runner = CliRunner()
    overview = runner.invoke(app, ["--help"])
    assert overview.exit_code == 0
    for command in COMMANDS:
        answer = runner.invoke(app, [command, "--help"])
        assert answer.exit_code == 0
        assert command in overview.output


def test_short_options():
    runner = CliRunner()
    assert runner.invoke(app, ["-h"]).output == runner.invoke(app, ["--help"]).output
    assert runner.invoke(app, ["--version"]).output.strip() == ada.__version__
    for command in COMMANDS:
        assert runner.invoke(app, [command, "-h"]).exit_code == 0


def test_shells_complete_commands():
    typed = {"COMP_WORDS": "adagrid sho", "COMP_CWORD": "1", "_ADAGRID_COMPLETE": "complete_bash"}
    assert CliRunner().invoke(app, [], prog_name="adagrid", env=typed).output.strip() == "show"


@pytest.mark.parametrize(("width", "spared"), [(29, {"sims", "limit"}), (45, {"sims"}), (100, set())])
def test_tables_lose_whole_columns_and_name_them(width, spared):
    columns = {"theta": ["0.500, 0.500"], "sims": ["131,072"], "limit": ["[b]5.2345%[/]"], "bound": ["6.2345%"]}
    table = Fitting("Worst tiles", columns, ["sims", "limit"], left=False)
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(table)
    text = console.export_text()
    shown, _, note = text.partition("Too narrow")
    for name, (value,) in columns.items():
        assert (value in shown) == (name in shown) == (name not in spared)
        assert (name in note) == (name in spared)


def test_show_of_a_snapshot_of_a_job_that_runs(tmp_path):
    """It says so; and what is piped is as wide as need be."""
    path, store = tmp_path / "now.duckdb", DuckDBStore(":memory:")
    grid = ada.cartesian_grid([-1], [0], n=1)
    snapshot = lambda report: ada.open_job(store).snapshot(path)
    flat.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, init_sims=64, n_steps=1, db=store, callback=snapshot)
    shown = CliRunner().invoke(app, ["show", str(path)], env={"COLUMNS": "30"})
    assert "NEW_STEP: The job runs, or was stopped: run the same again to go on. Last sign of life: 20" in shown.output
    assert "half-width" in shown.output
    assert "Too narrow" not in shown.output


def test_reprs_are_one_short_line():
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=3, null_hypos=["theta1 <= theta0"])
    assert repr(grid) == "<Grid: 6 tiles, theta0 -1 to 1, theta1 -1 to 1; null: theta1 - theta0 <= 0>"
    assert repr(grid.tiles) == "<6 tiles of 2 parameters>"
    assert repr(ada.FisherExact(12)) == "FisherExact(n=12)"
    table = pd.DataFrame({"responders0": [0, 1], "reject": [0, 1]})
    assert repr(ada.DecisionTable(1, table)).startswith("DecisionTable(n=1, table=<DataFrame 2 x 2>")
    assert len(repr(ada.cartesian_grid([-1] * 9, [1] * 9, n=1))) < 200


def test_another_threshold_is_for_a_new_job(tmp_path):
    path = tmp_path / "job.duckdb"
    grid = ada.cartesian_grid([-1], [0], n=1)
    flat.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=64, db=path).close()
    with pytest.raises(ada.errors.ResumeError, match=r"threshold=1\.96, not 2\.0.*for a new job give another db=\."):
        flat.validate(ada.ZTest(), threshold=2.0, grid=grid, n_sims=64, db=path)


def test_every_command_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for command in COMMANDS:
        assert f"adagrid {command}" in readme, command


def test_show_and_verify(tmp_path):
    path = tmp_path / "job.duckdb"
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    flat.validate(ada.ZTest(), threshold=1.96, grid=grid, db=path).close()
    runner = CliRunner()
    shown = runner.invoke(app, ["show", str(path), "--tiles", "2"])
    assert shown.exit_code == 0
    assert "Type I Error <= " in shown.output
    assert "Worst 2 of 4 active tiles" in shown.output
    verified = runner.invoke(app, ["verify", str(path)])
    assert verified.exit_code == 0
    assert "hold" in verified.output
    assert runner.invoke(app, ["version"]).output.strip() == ada.__version__


def test_show_a_job_by_interpolation(tmp_path):
    path, grid = tmp_path / "job.duckdb", ada.cartesian_grid([-1], [0], n=1)
    flat.ada_calibrate(ada.ZTest(), grid=grid, method="interpolated", db=path).close()
    shown = CliRunner().invoke(app, ["show", str(path)])
    assert shown.exit_code == 0
    assert "certified" in shown.output
    assert "cells" in shown.output
    assert CliRunner().invoke(app, ["verify", str(path)]).exit_code == 0


def test_export_import_copy_and_snapshot(tmp_path):
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    first, *others = (str(tmp_path / f"{name}.duckdb") for name in ("first", "second", "third", "fourth"))
    with flat.validate(ada.ZTest(), threshold=1.96, grid=grid, db=first) as run:
        summary = run.summary()
    runner = CliRunner()
    for command in (
        ["export", first, str(tmp_path / "parquet")],
        ["export", first, str(tmp_path / "csv"), "--format", "csv"],
        ["import", str(tmp_path / "csv"), others[0]],
        ["copy", others[0], others[1]],
        ["copy", others[0], others[1]],
        ["snapshot", others[1], others[2]],
        ["snapshot", others[1], others[2]],
    ):
        answer = runner.invoke(app, command)
        assert answer.exit_code == 0, answer.output
    for path in others:
        with ada.open_job(path) as run:
            assert run.summary().replace(path, first) == summary
    for command, rule in (
        (["export", first, str(tmp_path / "csv")], "new folder"),
        (["export", first, str(tmp_path / "new"), "--format", "xlsx"], "'parquet' or 'csv'"),
        (["import", str(tmp_path), str(tmp_path / "new.duckdb")], "no export of a job"),
        (["copy", first, first], "onto itself"),
        (["snapshot", first, first], "own database"),
    ):
        answer = runner.invoke(app, command)
        assert answer.exit_code == 1
        assert rule in answer.output
        assert "Traceback" not in answer.output
    assert not (tmp_path / "new.duckdb").exists()


def test_errors_are_messages(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "adagrid", "show", str(tmp_path / "nothing.duckdb")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "There is no database" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_no_secrets_in_the_database(tmp_path, monkeypatch):
    monkeypatch.setenv("ADAGRID_CANARY_TOKEN", "canary-4711-song")
    path = tmp_path / "job.duckdb"
    grid = ada.cartesian_grid([-1], [0], n=4)

    def tell(report):
        import logging

        logging.getLogger("adagrid").info("the token is %s", "canary-4711-song")

    flat.validate(ada.ZTest(), threshold=1.96, grid=grid, db=path).close()
    flat.ada_validate(ada.ZTest(), db=path, overrides={"n_steps": 2}, callback=tell).close()
    with ada.open_job(path) as run:
        messages = run.table("logs")["message"]
        assert messages.str.contains(r"the token is \*\*\*").any()
        for frame in (run.table("config"), run.table("logs"), run.table("reports")):
            assert "canary-4711-song" not in frame.to_string()
    assert b"canary-4711-song" not in path.read_bytes()


def test_the_readme_example_runs(tmp_path):
    code = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "example.py").write_text(code)
    for _ in range(2):  # and again, as the README says
        answer = subprocess.run(
            [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        assert "Type I Error <= 2." in answer.stdout
    with ada.open_job(tmp_path / "two_means.duckdb") as run:
        assert 0.025 <= run.bound <= 0.028
