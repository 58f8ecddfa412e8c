"""Exports and snapshots hold the whole job, exactly, or do not come into being."""

from __future__ import annotations

import json
import os
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adagrid as ada
from adagrid.errors import CorruptStoreError, InvalidInputError, NotAJobError, ResumeError
from adagrid.results.run import Run
from adagrid.stores._duckdb_files import in_folder
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing import PandasStore
from adagrid.testing.stores import JOBS, result_rows
from tests.support.copies import assert_equal
from tests.support.jobcases import N_STEPS, assert_same, expected, run_case, tables

FORMATS = ("parquet", "csv")
SUFFIX = {"parquet": "parquet", "csv": "csv.gz"}


@cache
def certified(case):
    """A job in two zones, certified; nobody changes or closes it."""
    return run_case(case, backend=ada.LocalBackend(n_zones=2, coordinate_every=3)).certify()


# Exports


@pytest.mark.parametrize(
    ("case", "of"), [("validate_z", "parquet"), ("calibrate_fisher", "csv"), ("staged_validate_z", "csv")]
)
def test_there_and_back(case, of, tmp_path):
    """Into any store, to the last bit."""
    run = certified(case)
    folder = tmp_path / "it's [an] export *"
    run.export(folder, of)
    assert sorted(os.listdir(tmp_path)) == [folder.name]
    for db in (None, tmp_path / "new.duckdb", PandasStore()):
        with ada.import_job(folder, db) as back:
            assert_equal(back._store, run._store)
            assert (back.bound, back.threshold, back.status) == (run.bound, run.threshold, run.status)
    assert sorted(os.listdir(tmp_path)) == [folder.name, "new.duckdb"]
    ada.import_job(folder, tmp_path / "new.duckdb").close()  # is there already: nothing to do
    recorded = json.loads((folder / "config.json").read_text())
    assert recorded == json.loads(json.dumps(run.table("config").to_dict("records")))


@pytest.mark.parametrize(
    ("case", "of"), [("validate_z", "csv"), ("calibrate_fisher", "parquet"), ("staged_validate_z", "parquet")]
)
def test_of_any_store(case, of, tmp_path):
    """What a store cannot write itself goes through a file that is not left behind."""
    run = certified(case)
    store = PandasStore()
    ada.copy_job(run._store, store)
    Run(store).export(tmp_path / "export", of)
    assert "job.duckdb" not in os.listdir(tmp_path / "export")
    assert_equal(ada.import_job(tmp_path / "export")._store, run._store)


def test_an_imported_job_goes_on(tmp_path):
    with run_case("validate_z", n_steps=2) as run:
        run.export(tmp_path / "export")
    ada.import_job(tmp_path / "export", tmp_path / "job.duckdb").close()
    with run_case("validate_z", n_steps=2, db=tmp_path / "job.duckdb", overrides={"n_steps": N_STEPS}) as run:
        assert_same(run, expected("validate_z"))
    with pytest.raises(InvalidInputError, match="holds the job .* went on by itself"):
        ada.import_job(tmp_path / "export", tmp_path / "job.duckdb")


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1),
            st.floats(allow_nan=False),
            st.floats(allow_nan=False, width=32),
            st.integers(-(2**63), 2**63 - 1),
        ),
        max_size=30,
        unique_by=lambda row: row[0],
    ),
    st.lists(st.tuples(st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))), max_size=30),
)
@pytest.mark.parametrize("of", FORMATS)
def test_every_number_and_text(tmp_path_factory, of, numbers, texts):
    """Ids, floats of both precisions and texts of any kind come back with the same bits."""
    folder = tmp_path_factory.mktemp("files")
    ids, scores, small, counts = zip(*numbers, strict=True) if numbers else ((), (), (), ())
    results = result_rows(list(ids), list(scores)).assign(
        small=np.array(small, np.float32), count=np.array(counts, np.int64)
    )
    logs = [{"worker_id": 1, "time": when, "level": text[:3], "logger": "x", "message": text} for when, text in texts]
    written, read = DuckDBStore(), DuckDBStore()
    for store in (written, read):
        store.create(JOBS["classic"][0])
    written.append({"results": results})
    written.append({"logs": pd.DataFrame(logs, columns=list(written.schema.tables["logs"]))})
    for name in ("results", "logs"):
        file = folder / f"{name}.{SUFFIX[of]}"
        with in_folder(folder) as engine:
            n = written.write_file(name, file, of, engine)
            assert n == read.read_file(name, file, of, 100, engine) == len(written.table(name))
        one, other = (
            store.between(name, {}).sort_values(list(written.schema.tables[name])) for store in (written, read)
        )
        for column, kind in written.schema.tables[name].items():
            left, right = one[column], other[column]
            assert (
                left.tolist() == right.tolist()
                if kind is str
                else left.to_numpy().tobytes() == right.to_numpy().tobytes()
            )
    written.close()
    read.close()


@pytest.mark.parametrize("of", FORMATS)
def test_damaged_files_are_named(of, tmp_path):
    run_case("validate_z").export(tmp_path / "export", of)
    for file in sorted((tmp_path / "export").iterdir()):
        whole = file.read_bytes()
        for damaged in (
            whole[:-1],
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :],
        ):
            file.write_bytes(damaged)
            with pytest.raises(CorruptStoreError, match=file.name.replace(".", r"\.")):
                ada.import_job(tmp_path / "export", tmp_path / "job.duckdb")
        file.unlink()
        with pytest.raises(NotAJobError if file.name == "manifest.json" else CorruptStoreError, match=file.name):
            ada.import_job(tmp_path / "export", PandasStore())
        file.write_bytes(whole)
    assert os.listdir(tmp_path) == ["export"]
    ada.import_job(tmp_path / "export").close()


def test_manifests_that_nobody_wrote(tmp_path):
    """With a checksum that is right: names that are no names do not reach the database."""
    from adagrid.copies.manifest import digest_of

    run_case("validate_z").export(tmp_path / "export")
    file = tmp_path / "export" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    changes = {
        "schema": {**manifest["schema"], "added": {"results": {"x float); drop table tiles; --": "float64"}}},
        "version": 1,
        "layout": 2,
        "format": "pickle",
        "files": {name: {**told, "rows": 3} for name, told in manifest["files"].items()},
    }
    for name, value in changes.items():
        other = {**manifest, name: value}
        file.write_text(json.dumps({**other, "sha256": digest_of(other)}))
        with pytest.raises((CorruptStoreError, NotAJobError), match="no job has|version 1|layout 2|as many rows"):
            ada.import_job(tmp_path / "export", PandasStore())


def test_a_job_that_contradicts_itself_is_not_imported(tmp_path):
    run = run_case("validate_z")
    run._store.append({"results": run._store.table("results")[:1]})
    run.export(tmp_path / "export")
    with pytest.raises(CorruptStoreError, match="results has each id once"):
        ada.import_job(tmp_path / "export", tmp_path / "job.duckdb")
    assert os.listdir(tmp_path) == ["export"]


def test_nothing_is_overwritten(tmp_path):
    run = run_case("validate_z")
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "no" / "folder"):
        with pytest.raises(InvalidInputError, match="new folder in an existing one"):
            run.export(folder)
    with pytest.raises(InvalidInputError, match="format must be 'parquet' or 'csv'; got 'xlsx'"):
        run.export(tmp_path / "new", "xlsx")
    run.export(tmp_path / "export")
    run_case("staged_validate_z", db=tmp_path / "other.duckdb").close()
    before = (tmp_path / "other.duckdb").read_bytes()
    with pytest.raises(InvalidInputError, match="holds another job"):
        ada.import_job(tmp_path / "export", tmp_path / "other.duckdb")
    with pytest.raises(InvalidInputError, match="holds another job"):
        run.snapshot(tmp_path / "other.duckdb")
    assert (tmp_path / "other.duckdb").read_bytes() == before


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    run = run_case("validate_z")
    monkeypatch.setattr(os, "replace", _full)
    with pytest.raises(OSError, match="No space left"):
        run.export(tmp_path / "export")
    assert os.listdir(tmp_path) == []
    monkeypatch.undo()
    (tmp_path / ".export.part").mkdir()  # what a kill left
    run.export(tmp_path / "export")
    assert os.listdir(tmp_path) == ["export"]


def _full(*names):
    raise OSError(28, "No space left on device")


# Copies


def test_copy_from_file_to_file(tmp_path):
    first, second = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    run_case("validate_z", db=first, n_steps=2).close()
    assert ada.copy_job(first, second)["steps"] == 2
    run_case("validate_z", db=first, n_steps=2, overrides={"n_steps": 4}).close()
    copied = ada.copy_job(str(first), str(second))
    assert (copied["steps"], copied["config"], copied["null_hypos"]) == (2, 1, 0)
    with ada.open_job(first) as one, ada.open_job(second) as other:
        assert_equal(other._store, one._store)
        assert other.summary().replace(str(second), str(first)) == one.summary()


def test_bad_copies(tmp_path):
    path = tmp_path / "job.duckdb"
    run_case("validate_z", db=path).close()
    with pytest.raises(InvalidInputError, match="onto itself"):
        ada.copy_job(path, str(path))
    with pytest.raises(NotAJobError, match="There is no database"):
        ada.copy_job(tmp_path / "nothing.duckdb", tmp_path / "new.duckdb")
    DuckDBStore(tmp_path / "empty.duckdb").close()
    with pytest.raises(NotAJobError, match="no job yet"):
        ada.copy_job(tmp_path / "empty.duckdb", tmp_path / "new.duckdb")
    assert sorted(os.listdir(tmp_path)) == ["empty.duckdb", "job.duckdb"]


# Snapshots


@pytest.mark.parametrize("case", ["calibrate_fisher", "staged_validate_z"])
def test_a_snapshot_is_the_job(case, tmp_path):
    """Of any store."""
    run = certified(case)
    path, other = tmp_path / "it's [a] snapshot.duckdb", PandasStore()
    ada.copy_job(run._store, other)
    for source in (run, Run(other)):
        source.snapshot(path)
        assert os.listdir(tmp_path) == [path.name]
        with ada.open_job(path) as read:
            assert_equal(read._store, run._store)
            read.verify()


def test_snapshots_from_the_callback(tmp_path):
    """Each has all that is there at its time, takes the place of the one before, and gives the answer if continued."""
    store, path, sizes = DuckDBStore(tmp_path / "job.duckdb"), tmp_path / "now.duckdb", []

    def take(report):
        ada.open_job(store).snapshot(path)
        with ada.open_job(path) as read:
            read.verify()
            sizes.append(len(read.table("tiles")))
            assert_equal(read._store, store)
        if report.step.step_id == 2:
            ada.copy_job(path, tmp_path / "third.duckdb")

    answer = tables(run_case("validate_z", db=store, callback=take))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3
    assert_same(run_case("validate_z", db=tmp_path / "third.duckdb"), answer)


def test_snapshots_refuse_what_they_would_destroy(tmp_path):
    run = run_case("validate_z", db=tmp_path / "job.duckdb")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "job.duckdb")
    for path, rule in (
        (tmp_path / "job.duckdb", "the job's own database"),
        (tmp_path / "link.duckdb", "the job's own database"),
        (tmp_path, "a file in an existing folder"),
        (tmp_path / "no" / "folder.duckdb", "a file in an existing folder"),
    ):
        with pytest.raises(InvalidInputError, match=rule):
            run.snapshot(path)
    with pytest.raises(NotAJobError, match="no DuckDB database"):
        run.snapshot(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    run.verify()


def test_a_snapshot_that_went_on_is_kept(tmp_path):
    with run_case("validate_z", db=tmp_path / "job.duckdb", n_steps=2) as run:
        run.snapshot(tmp_path / "now.duckdb")
        run_case("validate_z", db=tmp_path / "now.duckdb", n_steps=2, overrides={"n_steps": 3}).close()
        with pytest.raises(InvalidInputError, match="went on by itself"):
            run.snapshot(tmp_path / "now.duckdb")


def test_a_snapshot_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "now.duckdb"
    run = run_case("validate_z", n_steps=2)
    run.snapshot(path)
    before = path.read_bytes()
    run = run_case("validate_z", n_steps=2, db=run._store, overrides={"n_steps": 4})
    monkeypatch.setattr(os, "replace", _full)
    with pytest.raises(OSError, match="No space left"):
        run.snapshot(path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    (tmp_path / ".now.duckdb.part").write_text("what a kill left")
    run.snapshot(path)
    assert os.listdir(tmp_path) == ["now.duckdb"]
    with ada.open_job(path) as read:
        assert len(read.table("steps")) == 4


def test_settings_of_a_copy_are_the_job_s(tmp_path):
    run_case("validate_z", n_steps=2).snapshot(tmp_path / "now.duckdb")
    with pytest.raises(ResumeError, match="init_sims"):
        run_case("validate_z", n_steps=2, init_sims=1024, db=tmp_path / "now.duckdb")
