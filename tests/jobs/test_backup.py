"""Backups and snapshots of a job under way: complete in the end, and never in its way."""

from __future__ import annotations

import os
import shutil
import threading

import pytest

import adagrid as ada
import adagrid.copies.backup
from adagrid.copies.backup import Snapshot
from adagrid.errors import InvalidInputError, ModelError, NotAJobError, StoreBusyError, StoreError
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing import PandasStore
from tests.support.backups import EVERY, assert_backed_up, at_work, wait_for
from tests.support.clickhouse_server import CANARY
from tests.support.jobcases import assert_same, expected, run_case

CASES = ("validate_z", "staged_validate_z")


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """The file of another job."""
    path = tmp_path_factory.mktemp("another") / "job.duckdb"
    run_case("staged_validate_mean", db=path).close()
    return path


@pytest.mark.parametrize("case", CASES)
class TestFiles:
    def test_complete_in_the_end(self, case, tmp_path):
        """The answer is that of a job without; what is certified afterwards is kept, too."""
        backup, snapshot = tmp_path / "backup.duckdb", tmp_path / "snapshot.duckdb"
        run = run_case(case, db=tmp_path / "job.duckdb", backup=backup, snapshot=str(snapshot), backend=EVERY)
        assert_same(run, expected(case, coordinate_every=1))
        for _ in range(2):
            for path in (backup, snapshot):
                with ada.open_job(path) as read:
                    read.verify()
                    assert_backed_up(run, read._store)
                    assert (read.status, read.guarantee) == (run.status, run.guarantee)
            run.certify()
        run.close()
        assert sorted(os.listdir(tmp_path)) == ["backup.duckdb", "job.duckdb", "snapshot.duckdb"]
        assert not at_work()

    def test_every_moment_can_be_continued(self, case, tmp_path):
        """What is in the backup while the job runs gives the same answer."""
        store, seen = PandasStore(), []

        def look(report):
            step = report.step.step_id
            wait_for(lambda: not at_work())
            if step in (1, 2):
                with ada.open_job(tmp_path / "backup.duckdb") as read:
                    read.verify()
                    read.snapshot(tmp_path / f"{step}.duckdb")
                seen.append(step)

        run_case(case, db=store, backup=tmp_path / "backup.duckdb", callback=look, backend=EVERY)
        assert seen == [1, 2]
        for step in seen:
            with run_case(case, db=tmp_path / f"{step}.duckdb", backend=EVERY) as run:
                assert_same(run, expected(case, coordinate_every=1))

    def test_continued_with_its_backup(self, case, tmp_path):
        """Only what is new is copied; a backup that is not given again stays behind, and is brought up to date."""
        path = tmp_path / "backup.duckdb"
        db = tmp_path / "job.duckdb"
        run_case(case, db=db, backup=path, n_steps=2, backend=EVERY).close()
        run_case(case, db=db, n_steps=2, overrides={"n_steps": 3}, backend=EVERY).close()
        again = {"n_steps": 2, "overrides": {"n_steps": 4}, "backend": EVERY}
        with run_case(case, db=db, backup=path, **again) as run, ada.open_job(path) as read:
            assert_backed_up(run, read._store)
            assert len(read.table("config")) == 3


def test_a_server_that_stays_away(monkeypatch, tmp_path, capsys):
    """The job ends with its answer, and says where the backup stands."""
    monkeypatch.setattr(adagrid.copies.backup, "_PATIENCE_AT_LAST", 0.3)
    monkeypatch.setattr(adagrid.copies.backup, "_PAUSE", 0.05)

    def away():
        raise StoreError(f"the server is away, says {CANARY}")

    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", CANARY)
    run = run_case("validate_z", db=tmp_path / "job.duckdb", backup=away, backend=EVERY)
    assert_same(run, expected("validate_z", coordinate_every=1))
    warnings = run.table("logs")[run.table("logs")["level"] == "WARNING"]["message"]
    assert warnings.str.contains("has nothing of it").iloc[-1]
    assert warnings.str.contains("adagrid copy").iloc[-1]
    assert 1 < len(warnings) < 5  # not the same again and again
    assert "has nothing of it" in " ".join(capsys.readouterr().err.split())
    run.close()
    assert CANARY.encode() not in (tmp_path / "job.duckdb").read_bytes()


@pytest.mark.parametrize("failures", [1, 3])
def test_a_place_that_fails_now_and_then(failures, tmp_path, monkeypatch):
    """Whatever it raises."""
    monkeypatch.setattr(adagrid.copies.backup, "_PAUSE", 0.01)
    kept, tries = tmp_path / "kept.duckdb", 0

    def sometimes():
        nonlocal tries
        tries += 1
        if tries % (failures + 1):
            raise StoreError("a cosmic ray")
        return ada.stores.open_store(kept)

    run = run_case("validate_z", backup=sometimes, backend=EVERY)
    with ada.open_job(kept) as read:
        assert_backed_up(run, read._store)


def test_a_snapshot_that_fails_does_not_fail_the_job(tmp_path, monkeypatch):
    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    run = run_case("validate_z", snapshot=tmp_path / "now.duckdb", backend=EVERY)
    assert_same(run, expected("validate_z", coordinate_every=1))
    assert run.table("logs")["message"].str.contains("has nothing of it.*No space left").iloc[-1]
    assert os.listdir(tmp_path) == []


def test_a_job_that_fails_lets_go(tmp_path):
    """No thread is left, and the job can be continued with its backup."""
    answer = expected("validate_z", coordinate_every=1)

    def fail(report):
        if report.step.step_id == 3:
            raise ModelError("stop")

    path = tmp_path / "backup.duckdb"
    with pytest.raises(ModelError):
        run_case("validate_z", db=tmp_path / "job.duckdb", backup=path, callback=fail, backend=EVERY)
    assert not at_work()
    with ada.open_job(path) as read:
        read.verify()  # whatever it holds: copies may lag behind
    with run_case("validate_z", db=tmp_path / "job.duckdb", backup=path, backend=EVERY) as run:
        assert_same(run, answer)
    with run_case("validate_z", db=path, backend=EVERY) as run:
        assert_same(run, answer)


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ({"backup": 5}, "a path, a clickhouse:// URL or a function"),
        ({"snapshot": 5}, "the path of a file"),
        ({"backup": "{}/no/folder.duckdb"}, "an existing folder"),
        ({"snapshot": "{}/no/folder.duckdb"}, "an existing folder"),
        ({"backup": ":memory:"}, "a DuckDB file"),
        ({"backup": "{}/job.duckdb"}, "different places"),
        ({"snapshot": "{}/job.duckdb"}, "different places"),
        ({"backup": "{}/x.duckdb", "snapshot": "{}/x.duckdb"}, "different places"),
        ({"backup": "clickhouse://me:secret@db.example.org/j"}, "must not hold a password"),
        ({"backup": "clickhouse://db.example.org"}, "needs a name"),
        ({"backup": "{}/old.duckdb"}, "already holds a job"),
        ({"snapshot": "{}/old.duckdb"}, "already holds a job"),
    ],
)
def test_bad_places_are_told_before_anything_is_written(how, rule, another, tmp_path):
    shutil.copy(another, tmp_path / "old.duckdb")
    how = {name: value.format(tmp_path) if isinstance(value, str) else value for name, value in how.items()}
    with pytest.raises(InvalidInputError, match=rule) as caught:
        run_case("validate_z", db=tmp_path / "job.duckdb", **how)
    assert "secret" not in str(caught.value)
    assert os.listdir(tmp_path) == ["old.duckdb"]


def test_bad_places_of_a_job_that_is_continued(another, tmp_path):
    shutil.copy(another, tmp_path / "other.duckdb")
    (tmp_path / "notes.txt").write_text("mine")
    store = PandasStore()
    run_case("validate_z", db=store, n_steps=2)
    for how in ("backup", "snapshot"):
        with pytest.raises(InvalidInputError, match="holds another job"):
            run_case("validate_z", db=store, n_steps=2, **{how: tmp_path / "other.duckdb"})
        with pytest.raises(NotAJobError, match="no DuckDB database"):
            run_case("validate_z", db=store, n_steps=2, **{how: tmp_path / "notes.txt"})
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(store.table("config")) == 1


def test_a_snapshot_that_somebody_else_has_open_does_not_hold_the_job_up(tmp_path, monkeypatch):
    """It is told, after a while; the job has ended all the same."""

    def save(self, source, advance):
        raise StoreBusyError("open elsewhere")

    monkeypatch.setattr(adagrid.copies.backup, "_PATIENCE_AT_LAST", 1.0)
    monkeypatch.setattr(Snapshot, "save", save)
    run = run_case("validate_z", snapshot=tmp_path / "now.duckdb")
    assert run.table("logs")["message"].str.contains("The job has ended, but its snapshot").any()


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine")])
def test_what_stops_a_job_is_told_though_a_snapshot_is_under_way(tmp_path, monkeypatch, error):
    """The engine is interrupted in the middle of it."""
    dumping = threading.Event()

    def dump(self, path):
        dumping.set()
        self._query("select sum(a.range * b.range) as n from range(1000000) as a, range(1000000) as b")

    monkeypatch.setattr(DuckDBStore, "dump", dump)

    def callback(report):
        assert dumping.wait(30)
        raise error

    with pytest.raises(type(error), match="mine"):
        run_case("validate_z", db=tmp_path / "job.duckdb", snapshot=tmp_path / "now.duckdb", callback=callback)
    monkeypatch.undo()
    with run_case("validate_z", db=tmp_path / "job.duckdb") as run:
        run.verify()


def test_a_log_that_an_earlier_file_left_is_not_taken_for_the_snapshots(tmp_path):
    path = tmp_path / "now.duckdb"
    path.with_name("now.duckdb.wal").write_bytes(b"something else")
    run_case("validate_z", snapshot=path)
    with ada.open_job(path) as run:
        run.verify()


@pytest.fixture(scope="module")
def some_run():
    return run_case("validate_z", db=DuckDBStore(), n_steps=1)


@pytest.mark.parametrize(
    "use",
    [
        lambda url, run: ada.open_job(url),
        lambda url, run: ada.open_job(url.replace("clickhouse", "ClickHouse")),
        lambda url, run: ada.open_job(url.replace("://", ":/")),
        lambda url, run: run.snapshot(url),
        lambda url, run: run.export(url),
        lambda url, run: ada.import_job(url),
        lambda url, run: ada.import_job("folder", url.replace("clickhouse", "http")),
        lambda url, run: ada.copy_job(url, url),
        lambda url, run: run_case("validate_z", snapshot=url),
        lambda url, run: run_case("validate_z", backup=url.replace("clickhouse", "http")),
    ],
)
def test_no_message_repeats_the_password_of_a_misplaced_url(use, some_run):
    with pytest.raises(InvalidInputError) as caught:
        use(f"clickhouse://me:{CANARY}@db.example.org/j", some_run)
    assert CANARY not in f"{caught.value} {caught.value.__cause__}"
