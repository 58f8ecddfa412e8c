"""Paths mean what they meant when they were given, and nothing but paths."""

from __future__ import annotations

import os
import subprocess
import sys

import duckdb
import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError, NotAJobError, StoreBusyError, StoreError
from adagrid.stores._duckdb_files import file_path
from tests.support import flat
from tests.support.jobcases import run_case

GRID = ada.cartesian_grid([-1], [0], n=1, null_hypos=["theta0 <= 0"])


def fixed(**how):
    return flat.validate(ada.ZTest(), threshold=1.96, grid=GRID, n_sims=64, trust_family="a test of paths", **how)


def test_another_current_folder(tmp_path, monkeypatch):
    """A callback that changes it: database, backup and snapshot stay where they were."""
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    run = run_case(
        "validate_z",
        db="job.duckdb",
        backup="backup.duckdb",
        snapshot="now.duckdb",
        callback=lambda report: monkeypatch.chdir(tmp_path / "sub"),
    )
    run.snapshot("later.duckdb")
    run.close()
    assert os.listdir(tmp_path / "sub") == ["later.duckdb"]
    for name in ("backup", "now"):
        with ada.open_job(tmp_path / f"{name}.duckdb") as copy:
            assert copy.status is run.status
    assert run.db == str(tmp_path / "job.duckdb")


ADDRESSES = ["md:job.duckdb", "postgres:dbname=x password=thrush", "sqlite:job.db", "https://host/job.duckdb", "s3:x"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_never_reach_the_engine(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = fixed()

    def connect(*where, **how):
        raise AssertionError(where)

    monkeypatch.setattr(duckdb, "connect", connect)
    for use in (
        lambda: fixed(db=address),
        lambda: run_case("validate_z", db=run._store, backup=address),
        lambda: run_case("validate_z", db=run._store, snapshot=address),
        lambda: ada.open_job(address),
        lambda: ada.open_view(address),
        lambda: ada.copy_job(address, "new.duckdb"),
        lambda: ada.copy_job(run._store, address),
        lambda: ada.import_job(address),
        lambda: run.snapshot(address),
        lambda: run.export(address),
    ):
        with pytest.raises(InvalidInputError, match="must be the path of a file") as told:
            use()
        assert "thrush" not in str(told.value)
    assert os.listdir(tmp_path) == []


def test_files_with_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a#b;'c%20.duckdb", "./md:job.duckdb", "[x]*.duckdb", ":memory:x"):
        fixed(db=name).close()
        assert os.path.exists(name)
    with pytest.raises(InvalidInputError, match="may not have a question mark"):
        fixed(db="a?b.duckdb")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fixed(db="~/job.duckdb").close()
    with ada.open_job(str(tmp_path / "job.duckdb")) as run:
        run.export("~/export")
    ada.import_job("~/export", "~/again.duckdb").close()
    assert sorted(os.listdir(tmp_path)) == ["again.duckdb", "export", "job.duckdb"]
    with pytest.raises(InvalidInputError, match="no home folder"):
        file_path("~nobody-of-this-name/job.duckdb")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_no_path(path):
    with pytest.raises(InvalidInputError, match="not empty"):
        fixed(db=path)


def test_what_is_no_file(tmp_path):
    """A pipe is not waited for, and no device is read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "device", "loop"):
        with pytest.raises(NotAJobError, match=f"{name}.*is no file"):
            ada.open_job(tmp_path / name)
    fixed(db=tmp_path / "job.duckdb").close()
    (tmp_path / "job.duckdb.wal").symlink_to(tmp_path / "pipe")
    with pytest.raises(NotAJobError, match=r"job\.duckdb\.wal.*is no file"):
        ada.open_job(tmp_path / "job.duckdb")


def test_folders_that_may_not_be_written_to(tmp_path, monkeypatch):
    """What only reads works there. The permissions are played, for root has all."""
    fixed(db=tmp_path / "job.duckdb").close()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))
    with ada.open_job(tmp_path / "job.duckdb") as run:
        run.verify()
        for write in (run.export, run.snapshot):
            with pytest.raises(InvalidInputError, match=f"{tmp_path.name}.* may not be written to by this user"):
                write(tmp_path / "out")
    with pytest.raises(StoreError, match="may not be written by this user. Change its permissions"):
        fixed(db=tmp_path / "job.duckdb")
    with pytest.raises(StoreError, match="in a folder that this user may not write to.*adagrid show"):
        fixed(db=tmp_path / "new.duckdb")
    assert os.listdir(tmp_path) == ["job.duckdb"]


def test_a_file_of_another_process_points_to_snapshots(tmp_path):
    path = tmp_path / "job.duckdb"
    fixed(db=path).close()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreBusyError, match="open in another process.*snapshot="):
            ada.open_job(path)
        other.communicate("")
