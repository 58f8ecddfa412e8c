"""Zones on workers that write to the server themselves: who does what, and what becomes of them changes nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import distributed
import pandas as pd
import pytest

import adagrid as ada
import adagrid.backends.dask
import adagrid.runtime.workers
from adagrid.engine import Simulator
from adagrid.errors import BackendError, ModelError
from adagrid.stores.clickhouse import ClickHouseStore
from tests.support import flat
from tests.support.clickhouse_server import connect_to_old_server
from tests.support.clusters import NotEverywhere, local_cluster
from tests.support.hand_made import HandMadeCluster, Wire
from tests.support.jobcases import assert_same, run_case, tables

CASE = "validate_fisher"


@pytest.fixture(scope="module")
def expected():
    cases = (CASE, "staged_validate_z", "validate_z")
    return {case: tables(run_case(case, backend=ada.LocalBackend(4, 2))) for case in cases}


@contextmanager
def meanwhile(action, condition):
    """Do something in another thread as soon as a condition holds."""
    done, ended = threading.Event(), threading.Event()

    def watch():
        while not ended.is_set():
            if condition():
                action()
                done.set()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


def has_results(store, at_least):
    """Tells in another thread whether a job has so many results."""
    readers = []

    def condition():
        if not readers:
            readers.append(store.opener())
        return readers[0].exists and len(readers[0].table("results")) >= at_least

    return condition


def kill(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def run(clusters, server):
    """A run whose leader cannot simulate, with what its caller was told."""

    def refuse(*arguments, **more):
        raise AssertionError("the leader simulates")

    store, told = ClickHouseStore(server.url("crew"), connect=connect_to_old_server), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "count", refuse)
        patch.setattr(Simulator, "smallest", refuse)
        run = run_case(CASE, db=store, backend=ada.DaskBackend(4, 2, cluster=clusters(2)), callback=told.append)
    with run:
        run.told = told
        yield run


@pytest.mark.sample
class TestCrew:
    def test_same_answer_although_the_leader_never_simulates(self, run, expected):
        assert_same(run, expected[CASE])

    def test_workers_join_in_sequence(self, run):
        config = run.table("config")
        assert config["worker_id"].tolist() in ([1, 2], [1, 2, 3])
        assert (config["start"] == 0).all()
        leader, *workers = config["environment"]
        assert all(each["packages"] == leader["packages"] for each in workers)
        assert run.record == ada.open_job(run._store).record

    def test_rows_tell_who_wrote_them(self, run):
        workers = set(run.table("config")["worker_id"]) - {1}
        assert set(run.results(active=False)["worker_id"]) == workers
        assert set(run.table("steps")["worker_id"]) == workers
        assert set(run.table("coordinations")["worker_id"]) == {1}
        assert workers <= set(run.table("logs")["worker_id"])

    def test_caller_is_told_of_every_step(self, run):
        steps = run.table("steps")[["coordination_id", "zone_id", "step_id", "n_tiles"]].to_numpy().tolist()
        told = [[*vars(report.step).values(), report.n_tiles] for report in run.told]
        steps, told = (sorted(row for row in rows if row[2] and row[3]) for rows in (steps, told))
        assert told == steps

    def test_balance_of_zones_is_reported(self, run):
        reports = run.table("reports")
        reports = reports[reports["kind"] == "zones"]
        assert reports["coordination_id"].tolist() == run.table("coordinations")["coordination_id"].tolist()
        assert {len(content["zones"]) for content in reports["content"]} == {4}
        assert sum(zone["n_active"] for zone in reports["content"].iloc[-1]["zones"]) == run.counts()["active"]

    def test_a_second_start_has_workers_of_its_own(self, run, workers):
        with run_case(CASE, db=run._store.opener(), backend=workers, overrides={"n_steps": 10}) as again:
            config = again.table("config")
            numbers = config["worker_id"][config["worker_id"] > 1].tolist()
            assert numbers == list(range(2, 2 + len(numbers)))
            assert config["worker_id"][config["start"] == 1].tolist()[0] == 1
            assert min(config["start"].value_counts()) >= 2


@pytest.mark.parametrize("case", ["staged_validate_z", "validate_z"])
def test_stages_and_certificates(case, workers, on_server, expected):
    store = on_server()
    local = run_case(case, backend=ada.LocalBackend(4, 2), n_steps=3)
    with run_case(case, db=store, backend=workers, n_steps=3) as run:
        assert_same(run, tables(local))
        if case == "validate_z":
            certificates = [each.certify().results() for each in (run, local)]
            certificates = [each.drop(columns=["worker_id", "time"]) for each in certificates]
            pd.testing.assert_frame_equal(*certificates, check_exact=True)
            numbers = run.table("config")["worker_id"]
            assert numbers.tolist() == list(range(1, len(numbers) + 1))
            assert 1 not in run._store.table("certificate")["worker_id"].tolist()


def test_one_zone_is_led_here_and_all_workers_simulate(clusters, on_server):
    backend = ada.DaskBackend(1, 2, cluster=clusters(2))
    with run_case(CASE, db=on_server(), backend=backend, packet_size=1) as run:
        assert set(run.table("steps")["worker_id"]) == {1}
        numbers = run.table("config")["worker_id"].tolist()
        assert numbers in ([1, 2], [1, 2, 3])  # a machine may be so busy that one worker does everything
        assert set(run.results(active=False)["worker_id"]) == set(numbers[1:])


def test_errors_name_the_point_as_in_one_process(workers, on_server):
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    with pytest.raises(ModelError, match=r"^Point \d+: .*NaN"):
        flat.validate(NotEverywhere(), threshold=1.96, grid=grid, backend=workers, db=on_server())


def _work_until_nobody_waits(folder):
    (folder / "started").touch()
    try:
        for _ in ada.LocalBackend().map(time.sleep, [0.02] * 3000):
            pass
    except BackendError as error:
        (folder / "stopped").write_text(str(error))


def _wait_until_it_has_started(folder):
    while not (folder / "started").exists():
        time.sleep(0.02)


def test_what_nobody_waits_for_stops(clusters, tmp_path):
    """A zone whose leader was interrupted ends before its next packet."""
    answers = ada.DaskBackend(cluster=clusters(2)).map(
        lambda task: task(tmp_path), [_wait_until_it_has_started, _work_until_nobody_waits]
    )
    next(answers)
    answers.close()
    deadline = time.monotonic() + 30
    while not (tmp_path / "stopped").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "Nobody waits any more" in (tmp_path / "stopped").read_text()


@pytest.mark.parametrize("zones", [1, 4])
def test_workers_of_another_version_are_refused(zones, clusters, on_server, monkeypatch):
    """Before they simulate anything."""
    real = adagrid.runtime.workers.environment

    def other(**how):
        found = real(**how)
        return found | {"packages": found["packages"] | {"adagrid": "0.0.1"}}

    monkeypatch.setattr(adagrid.runtime.workers, "environment", other)
    store = on_server()
    with pytest.raises(
        BackendError, match=r"A worker has adagrid \S+, and the job is led by adagrid 0\.0\.1: all must"
    ):
        run_case(CASE, db=store, backend=ada.DaskBackend(zones, 2, cluster=clusters(2)))
    assert not len(store.table("results"))


def test_all_workers_killed_within_their_zones(on_server, expected):
    store = on_server()
    with local_cluster(2) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid).values()
        with meanwhile(lambda: kill(pids), has_results(store, 12)) as killed:
            backend = ada.DaskBackend(4, 2, cluster=cluster)
            with run_case(CASE, db=store, backend=backend, packet_size=1) as run:
                assert killed.is_set()
                assert_same(run, expected[CASE])
                assert len(run.table("config")) > 3


def test_workers_that_join_in_the_middle(on_server, expected):
    with local_cluster(1) as cluster, distributed.Client(cluster, set_as_default=False) as client:

        def more(report):
            cluster.scale(2)
            client.wait_for_workers(2)

        backend = ada.DaskBackend(4, 2, cluster=cluster)
        with run_case(CASE, db=on_server(), backend=backend, callback=more) as run:
            assert_same(run, expected[CASE])
            assert run.table("config")["worker_id"].tolist() in ([1, 2], [1, 2, 3])


@pytest.mark.parametrize("db", ["file", "server"])
def test_scheduler_that_is_killed_and_started_again(db, tmp_path, on_server, expected, monkeypatch):
    """The run stops and says so; run again when the scheduler is back, it goes on."""
    monkeypatch.setattr(adagrid.backends.dask, "_PATIENCE", 3)
    with HandMadeCluster(tmp_path) as cluster:
        cluster.start_worker()
        store = on_server() if db == "server" else None
        place = store or tmp_path / "job.duckdb"

        def lose(report):
            if cluster.scheduler.poll() is None:
                cluster.scheduler.kill()
                cluster.scheduler.wait()

        backend = ada.DaskBackend(4, 2, address=cluster.address)
        with pytest.raises(BackendError, match="scheduler was lost.*run the job again"):
            run_case(CASE, db=place, backend=backend, packet_size=2, callback=lose)
        cluster.start_scheduler()
        cluster.start_worker()
        with run_case(CASE, db=store.opener() if store else place, backend=backend, packet_size=2) as run:
            assert_same(run, expected[CASE])
            assert (run.table("config")["worker_id"] == 1).sum() == 2


@pytest.mark.parametrize(("how", "db"), [("cut", "file"), ("silence", "server")])
def test_network_lost_between_worker_and_scheduler(how, db, tmp_path, on_server, expected):
    """What the lost worker had is done elsewhere; a scheduler that hears nothing waits for `worker-ttl` first."""
    with HandMadeCluster(tmp_path, DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="3s") as cluster:
        wire, lost = Wire(cluster.port), []
        # A scheduler waits half a minute longer for a nanny that it cannot reach to restart its worker.
        cluster.start_worker(wire.address, ("--nthreads", "1", "--no-dashboard", "--no-nanny"))
        cluster.start_worker()

        def lose(report):
            if not lost:
                lost.append(report)
                getattr(wire, how)()

        backend = ada.DaskBackend(4, 2, address=cluster.address)
        with distributed.Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(2)
            place = on_server() if db == "server" else tmp_path / "job.duckdb"
            with run_case(CASE, db=place, backend=backend, packet_size=2, callback=lose) as run:
                assert lost
                assert_same(run, expected[CASE])
        wire.close()
