"""Messages go to the database in batches, never fail a run, and tell no secret."""

from __future__ import annotations

import logging
import subprocess
import threading

import pytest

import adagrid as ada
from adagrid.errors import StoreError
from adagrid.runtime.environment import without_secrets
from adagrid.runtime.journal import Journal
from adagrid.testing.pandas_store import PandasStore
from adagrid.testing.stores import fill
from tests.support import flat
from tests.support.jobcases import assert_same, run_case, tables

CANARY = "canary-5fb2c0"
IN_URL = "c4nary-in-a-url"
logger = logging.getLogger("adagrid")


def counting(store, tables):
    """Count the appends to some tables."""
    append, counts = store._append, dict.fromkeys(tables, 0)

    def counted(frames):
        for name in set(frames) & set(counts):
            counts[name] += 1
        append(frames)

    store._append = counted
    return counts


def test_batches():
    store = PandasStore()
    counts = counting(store, ["logs", "steps"])
    talk = lambda report: [logger.info("message %d of step %d", i, report.step.step_id) for i in range(150)]
    run = run_case("validate_z", db=store, callback=talk)
    logs = run.table("logs")
    said = [f"message {i} of step {step}" for step in range(len(run.table("steps"))) for i in range(150)]
    assert [text for text in logs["message"] if text.startswith("message ")][: len(said)] == said
    assert logs["time"].is_monotonic_increasing
    assert counts["logs"] <= len(logs) / 200 + counts["steps"] + 2


@pytest.mark.parametrize("failure", [StoreError("the disk is full")])
def test_a_log_that_cannot_be_written_fails_nothing(failure):
    expected = tables(run_case("validate_z"))
    store = PandasStore()
    append, failing = store._append, True

    def refusing(frames):
        if "logs" in frames and failing:
            raise failure
        append(frames)

    store._append = refusing
    run = run_case("validate_z", db=store)
    assert_same(run, expected)
    run.verify()
    assert not len(run.table("logs"))


def test_messages_wait_until_they_can_be_written():
    store = PandasStore()
    fill(store, "classic")
    journal, append = Journal(store, worker_id=1), store._append
    record = lambda i: logger.makeRecord("adagrid", logging.INFO, "", 0, "number %d", (i,), None)
    store._append = lambda frames: (_ for _ in ()).throw(StoreError("away"))
    for i in range(450):
        journal.emit(record(i))
    store._append = append
    journal.flush()
    assert store.table("logs")["message"].tolist() == [f"number {i}" for i in range(450)]
    store._append = lambda frames: (_ for _ in ()).throw(StoreError("away"))
    for i in range(10_000):
        journal.emit(record(i))
    assert len(journal._messages) <= 2000


def test_messages_of_other_threads_are_written_by_the_own_one():
    """The store belongs to one thread."""
    store, writers = PandasStore(), set()
    append = store._append
    store._append = lambda frames: (writers.add(threading.get_ident()), append(frames))
    others = []

    def callback(report):
        talk = lambda: [logger.info("from elsewhere %d", i) for i in range(500)]
        others.append(threading.Thread(target=talk))
        others[-1].start()
        others[-1].join()

    run = run_case("validate_z", db=store, callback=callback)
    assert writers == {threading.get_ident()}
    assert run.table("logs")["message"].str.startswith("from elsewhere").sum() == 500 * len(others)


class Talkative(ada.ZTest):
    """A design that tells its secrets."""

    def __init__(self, key="", places=()):
        super().__init__()
        self.key, self.places, self.told = key, places, False

    def statistic(self, draw, theta, null_truth):
        logger.warning("my key is %s", self.key)
        return super().statistic(draw, theta, null_truth)


@pytest.fixture
def canary(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", CANARY)
    monkeypatch.setenv("SOME_TOKEN", f"{CANARY}-longer")
    monkeypatch.setenv("WAREHOUSE", f"postgres://me:{IN_URL}@db.example.org/trials")
    return CANARY


def everything(run):
    frames = [run._store.table(name) for name in run._store.schema.tables]
    return "\n".join([run.summary(), repr(run), *(frame.to_csv() for frame in frames)])


def test_no_secret_reaches_a_table(canary, monkeypatch, tmp_path):
    """Neither by arguments, messages, errors, nor what git says of the folder."""
    git = lambda *words: subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=tmp_path, check=True
    )
    git("init", "-q")
    (tmp_path / "settings.ini").write_text("key = ?\n")
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / "settings.ini").write_text(f"key = {canary}\nurl = postgres://me:{IN_URL}@db.example.org/trials\n")
    monkeypatch.chdir(tmp_path)
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    store = PandasStore()

    def callback(report):
        logger.info("in a message: %s, %s-longer and %s", canary, canary, IN_URL)
        if report.step.step_id == 1:
            raise RuntimeError(f"in an error: {canary}")

    how = {"threshold": 1.96, "grid": grid, "db": store, "init_sims": 512, "max_sims": 1024, "n_steps": 4}
    design = Talkative(canary, [f"postgres://me:{IN_URL}@h", {"deep": canary}])
    with pytest.raises(RuntimeError):
        flat.ada_validate(design, callback=callback, **how)
    run = flat.ada_validate(design, **how)
    told = everything(run)
    assert "in a message: ***, *** and ***" in told
    assert "in an error: ***" in told
    assert "settings.ini" in told
    for secret in (CANARY, "longer", IN_URL):
        assert secret not in told


def test_secrets(monkeypatch):
    for name, value in {"PGPASSWORD": "pg-secret", "AWS_SECRET_ACCESS_KEY": "aws/secret+x", "X_TOKEN": "abc"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QUEUE", "amqp://user:hidden@host:1/v")
    text = "pg-secret aws/secret+x abc hidden user host"
    assert without_secrets(text) == "*** *** abc *** user host"
