"""A view tells what the tables hold, while the job runs and afterwards, without reading them."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import adagrid as ada
from adagrid.cli import app
from adagrid.errors import NotAJobError, StoreBusyError
from adagrid.screens import snapshot_screen
from adagrid.stores import open_store
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.sql import SqlStore
from adagrid.testing import PandasStore
from tests.support.jobcases import QUANTITIES, run_case


@pytest.mark.parametrize(
    "case", ["validate_fisher", "calibrate_z", "staged_validate_fisher", "staged_calibrate_z", *QUANTITIES]
)
def test_a_look_is_what_the_tables_hold(case):
    store = DuckDBStore()
    run = run_case(case, db=store)
    with ada.open_view(store) as view:
        look = view.look(worst=3, window=1e9)
    results = run.results()
    assert (look.status, look.guarantee, look.record) == (run.status, run.guarantee, run.record)
    assert (look.bound, look.threshold) == (run.bound, run.threshold)
    assert look.counts["active"] == len(results)
    assert look.counts["results"] == len(run.results(active=False))
    for row in look.slack.to_dict("records"):
        costs = results[row["column"]]
        assert (row["least"], row["greatest"]) == (costs.min(), costs.max())
        assert row["mean"] == pytest.approx(costs.mean(), rel=1e-12, abs=1e-15)
    assert look.slack["column"].tolist()[0] == "grid_cost"
    decides, least_first = ("tie_bound", False) if "validate" in case else ("lambda_star", True)
    expected = results.sort_values([decides, "id"], ascending=[least_first, True], ignore_index=True).head(3)
    pd.testing.assert_frame_equal(look.worst, expected)
    simulated = (
        pd.concat([run.table("pilot"), run.table("vertices")])
        if case.startswith("staged")
        else run.results(active=False)
    )
    age = look.time - run.table("config")["time"].min()
    assert look.workers["worker_id"].tolist() == [1]
    assert look.workers["simulated"][0] * age == pytest.approx(len(simulated))
    assert look.workers["simulations"][0] * age == pytest.approx(simulated["n_sims"].sum())
    signs = [frame["time"].max() for frame in (run.table("reports"), run.table("config"), simulated)]
    assert look.workers["last_sign"][0] == max(signs)


@pytest.mark.parametrize("case", ["validate_fisher", "calibrate_z"])
def test_no_look_reads_the_tiles(case, monkeypatch):
    store = DuckDBStore()
    run_case(case, db=store)
    view = ada.open_view(store)
    read = DuckDBStore.table

    def table(self, name):
        assert name in ("config", "reports", "lines", "spots", "coordinations", "steps")
        return read(self, name)

    monkeypatch.setattr(DuckDBStore, "table", table)
    monkeypatch.setattr(SqlStore, "results", None)
    assert len(view.look(worst=2).worst) == 2


@pytest.mark.parametrize(
    ("case", "db"), [("validate_fisher", "file"), ("validate_z", "pandas"), ("staged_calibrate_z", "memory")]
)
def test_looking_from_another_thread(case, db, tmp_path):
    """What is seen only grows, bounds are at most 1, and looking changes nothing."""
    store = open_store({"memory": None, "file": tmp_path / "job.duckdb", "pandas": PandasStore()}[db])
    errors = []

    def work():
        try:
            run_case(case, db=store, packet_size=3)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    looks = []
    while thread.is_alive():
        try:
            with ada.open_view(store) as view:
                looks.append(view.look())
        except NotAJobError:
            time.sleep(0.01)
    thread.join()
    assert not errors
    assert len(looks) >= 2
    for earlier, later in pairwise(looks):
        for name in ("tiles", "results", "steps", "simulations"):
            assert earlier.counts[name] <= later.counts[name]
        assert later.time >= earlier.time
    assert all(0 < look.bound <= 1 for look in looks)
    with ada.open_view(store) as view:
        assert view.look().counts == run_case(case).counts()
    store.verify()


@pytest.mark.parametrize("case", ["validate_fisher", "staged_calibrate_fisher"])
def test_a_region_that_is_covered_during_the_look(case, monkeypatch):
    """What decides is read before it exists; by the time that the region is asked for, it is covered."""
    store = DuckDBStore()
    expected = run_case(case, db=store).worst_tiles(3)
    read, looks = DuckDBStore.extreme, []

    def extreme(self, *args, **options):
        looks.append(options["name"])
        rows = read(self, *args, **options)
        return rows if len(looks) > 1 else rows.head(0)

    monkeypatch.setattr(DuckDBStore, "extreme", extreme)
    with ada.open_job(store) as run:
        pd.testing.assert_frame_equal(run.worst_tiles(3), expected)
    assert len(looks) == 2


def test_looking_from_a_callback():
    store, seen = DuckDBStore(), []

    def callback(report):
        with ada.open_view(store) as view:
            look = view.look()
        assert look.status is ada.Status.NEW_STEP
        assert look.counts["active"] == report.n_active
        seen.append(look.bound)

    run = run_case("validate_z", db=store, callback=callback, n_steps=8)
    assert run.status is ada.Status.EMPTY_STEP
    assert len(seen) == len(run.table("steps")) + 1
    assert seen[-1] == run.bound


def test_looking_at_snapshots(tmp_path):
    """Each is a whole job, whatever moment it is read at."""
    snapshot, counts = tmp_path / "now.duckdb", []

    def callback(report):
        if snapshot.exists():
            with ada.open_view(snapshot) as view:
                counts.append(view.look().counts["results"])
            with ada.open_job(snapshot) as run:
                run.verify()

    backend = ada.LocalBackend(coordinate_every=1)
    run = run_case("validate_z", db=tmp_path / "job.duckdb", snapshot=snapshot, callback=callback, backend=backend)
    with ada.open_view(snapshot) as view:
        look = view.look()
    assert look.counts == run.counts()
    assert (look.bound, look.status) == (run.bound, run.status)
    assert counts == sorted(counts)
    assert len(counts) >= 2


def test_a_database_in_use_is_told(tmp_path):
    path = tmp_path / "job.duckdb"
    run = run_case("validate_z", db=path)
    with pytest.raises(StoreBusyError):
        ada.open_view(path)
    run.close()
    with pytest.raises(NotAJobError):
        ada.open_view(tmp_path / "other.duckdb")


def test_watch(tmp_path, monkeypatch):
    path = tmp_path / "job.duckdb"
    run_case("calibrate_fisher", db=path).close()
    answer = CliRunner().invoke(app, ["watch", str(path), "--worst", "2"], env={"COLUMNS": "150"})
    assert answer.exit_code == 0
    for told in ("So far      threshold", "grid_cost", "Worst 2 of"):
        assert told in answer.output

    class Killed(BaseException):
        pass

    def callback(report):
        if report.step.step_id == 2:
            raise Killed

    path = tmp_path / "unfinished.duckdb"
    with pytest.raises(Killed):
        run_case("validate_z", db=path, callback=callback)
    with ada.open_view(path) as view:
        console = Console(record=True, width=150)
        console.print(snapshot_screen(view.look()))
    assert "simulations per second" in console.export_text()
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            run_case("validate_z", db=path).close()

    monkeypatch.setattr("adagrid.cli.time", SimpleNamespace(sleep=sleep))
    answer = CliRunner().invoke(app, ["watch", str(path), "--every", "7"])
    assert answer.exit_code == 0
    assert waits == [7.0, 7.0, 7.0]
    assert run_case("validate_z").status.name in answer.output


def test_watch_waits_for_the_first_snapshot(tmp_path, monkeypatch):
    path = tmp_path / "now.duckdb"
    sleep = lambda seconds: run_case("validate_z", db=path).close()
    monkeypatch.setattr("adagrid.cli.time", SimpleNamespace(sleep=sleep))
    assert CliRunner().invoke(app, ["watch", str(path)]).exit_code == 0


@pytest.mark.parametrize("db", ["memory", "file"])
def test_a_view_that_was_opened_before_the_job(db, tmp_path):
    store = DuckDBStore(":memory:" if db == "memory" else tmp_path / "job.duckdb")
    with ada.open_view(store) as view:
        with pytest.raises(NotAJobError):
            view.look()
        run = run_case("validate_z", db=store, job_id="[/odd] [red]name")
        look = view.look()
        assert look.counts == run.counts()
        Console().print(snapshot_screen(look))
