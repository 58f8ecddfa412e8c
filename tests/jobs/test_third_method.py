"""A method that adagrid does not have runs, resumes, is copied, shown, watched and verified like its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import adagrid as ada
from adagrid.errors import CorruptStoreError, InvalidInputError, ResumeError
from adagrid.screens import snapshot_screen, worst_table
from adagrid.stores.duckdb import DuckDBStore
from tests.support.array_designs import ArrayZ
from tests.support.killed_store import Killed, KilledStore
from tests.support.uniform import COLUMNS, Uniform

GRID = ada.cartesian_grid([-1], [0.3], n=10, null_hypos=["x <= 0"])
N = 512


def job(**more) -> ada.Run:
    return ada.ada_validate(ArrayZ(), **({"threshold": 1.96, "grid": GRID, "method": Uniform(n_sims=N)} | more))


def rows(run: ada.Run) -> pd.DataFrame:
    return run.results().drop(columns=["time", "worker_id"])


@pytest.fixture(scope="module")
def done():
    return job()


def test_it_bounds_what_a_fixed_grid_does(done):
    """The classic method simulates the same tiles, if it adapts nothing."""
    oracle = ada.validate(ArrayZ(), threshold=1.96, grid=GRID, n_sims=N)
    pd.testing.assert_frame_equal(rows(done)[["id", *COLUMNS]], rows(oracle)[["id", *COLUMNS]], check_exact=True)
    assert done.bound == oracle.bound
    assert done.guarantee == "certified"
    assert done.status is ada.Status.CONVERGED


def test_it_is_resumed_anywhere(done):
    after, finished = 0, False
    while not finished:
        after += 3
        store, options = KilledStore(after, half=False), ada.RunOptions(packet_size=3)
        try:
            job(db=store, options=options)
            finished = True
        except Killed:
            begun = len(store.table("config")) > 0
            run = job(
                db=store, options=options, grid=None if begun else GRID, method=None if begun else Uniform(n_sims=N)
            )
            pd.testing.assert_frame_equal(rows(run), rows(done), check_exact=True)
            run.verify()
    assert after > 9


def test_zones_and_workers_change_nothing(done):
    run = job(backend=ada.LocalBackend(n_zones=3, coordinate_every=2))
    one, other = (rows(each).set_index("id")["tie_bound"].sort_index() for each in (run, done))
    pd.testing.assert_series_equal(one, other, check_exact=True)
    run.verify()


def test_it_is_copied_exported_shown_and_watched(tmp_path, done):
    job(db=tmp_path / "job.duckdb", options=ada.RunOptions(backup=tmp_path / "backup.duckdb")).close()
    ada.copy_job(tmp_path / "job.duckdb", tmp_path / "copy.duckdb")
    with ada.open_job(tmp_path / "copy.duckdb") as run:
        run.export(tmp_path / "export")
        run.snapshot(tmp_path / "snapshot.duckdb")
    ada.import_job(tmp_path / "export", tmp_path / "imported.duckdb").close()
    for name in ("backup", "copy", "imported", "snapshot"):
        with ada.open_job(tmp_path / f"{name}.duckdb") as run:
            pd.testing.assert_frame_equal(rows(run), rows(done), check_exact=True)
            assert f"Work        8 tiles, {N} simulations each" in run.summary()
            assert worst_table(run.record, run.worst_tiles(3), 10)
            run.verify()
    with ada.open_view(tmp_path / "copy.duckdb") as view:
        assert view.look().bound == done.bound
        assert snapshot_screen(view.look())


def test_its_own_check_finds_wrong_figures(tmp_path):
    path = tmp_path / "job.duckdb"
    job(db=path).close()
    store = DuckDBStore(path)
    store._connection.execute("update results set tie_point_bound = tie_point_bound / 2 where position = 0")
    with pytest.raises(CorruptStoreError, match="do not follow from their simulations"):
        ada.open_job(store).verify()
    store.close()


def test_its_settings_are_checked_and_recorded(done):
    assert done.settings.method == Uniform(n_sims=N)
    with pytest.raises(InvalidInputError, match="n_sims must be a positive whole number of simulations; got 0"):
        Uniform(n_sims=0)
    with pytest.raises(InvalidInputError, match="does not calibrate"):
        ada.ada_calibrate(ArrayZ(), grid=GRID, method=Uniform())
    with pytest.raises(ResumeError, match="Its method is 'uniform', not 'classic'"):
        job(db=done._store, method="classic")
    with pytest.raises(ResumeError, match=f"started with n_sims={N}, not 64"):
        job(db=done._store, method=Uniform(n_sims=64))


def test_who_does_not_know_the_method_is_told_which(tmp_path):
    job(db=tmp_path / "job.duckdb").close()
    code = "import sys, adagrid; adagrid.open_job(sys.argv[1])"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "job.duckdb")], capture_output=True, text=True, check=False
    )
    assert "by the method 'uniform', which adagrid does not have. Import the module that defines it" in answer.stderr


def test_bound_covers_the_truth(done):
    from scipy.stats import norm

    found = done.results()
    truth = norm.sf(1.96 - (found["theta0"] + found["radius0"]).clip(upper=0))
    assert (found["tie_bound"] >= truth).mean() > 0.9
    assert done.bound >= norm.sf(1.96)
    assert np.isfinite(found["tie_bound"]).all()
