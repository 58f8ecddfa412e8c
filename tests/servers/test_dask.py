"""Workers change nothing of a job's answer, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import dask
import distributed
import numpy as np
import psutil
import pytest

import adagrid as ada
import adagrid.backends.dask
from adagrid.errors import BackendError, InvalidInputError, MissingExtraError, ModelError
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing import BackendContract
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.clusters import NotEverywhere, local_cluster
from tests.support.jobcases import assert_same, run_case, tables
from tests.support.paths import IMPORTS

TESTED = ("validate_z", "calibrate_z", "staged_validate_z")


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def two_workers(cluster):
    with ada.DaskBackend(cluster=cluster) as backend:
        yield backend


@pytest.fixture(scope="module")
def one_worker():
    with ada.DaskBackend(n_workers=1) as backend:
        yield backend


@pytest.fixture(scope="module")
def expected():
    return {case: tables(run_case(case)) for case in TESTED}


class TestDaskBackend(BackendContract):
    @pytest.fixture
    def backend(self, two_workers):
        return two_workers


@pytest.mark.parametrize("workers", ["one_worker", "two_workers"])
@pytest.mark.parametrize(("packet_size", "store"), [(None, DuckDBStore), (1, PandasStore)])
@pytest.mark.parametrize("case", TESTED)
def test_same_tables_as_in_one_process(case, packet_size, store, workers, expected, request):
    backend = request.getfixturevalue(workers)
    assert_same(run_case(case, backend=backend, packet_size=packet_size, db=store()), expected[case])


def test_certified_the_same_with_several_zones(cluster):
    """A backend that nobody has opened connects for each run, and leaves the cluster as it is."""
    answers = [
        tables(run_case("validate_z", n_steps=3, packet_size=3, backend=backend).certify())
        for backend in (ada.LocalBackend(2, 2), ada.DaskBackend(2, 2, address=cluster.scheduler_address))
    ]
    assert len(answers[0]["coordinations"]) >= 2
    for name, frame in answers[0].items():
        assert frame.equals(answers[1][name]), name
    assert cluster.status is distributed.Status.running


@pytest.mark.parametrize("kind", ["classic", "interpolated"])
def test_design_of_a_script_without_null_hypotheses(kind, two_workers):
    """The class is sent along, and there is one null hypothesis, which has no text."""

    class Written(ada.ZTest):
        pass

    grid = ada.cartesian_grid([-1], [0], n=1)
    runs = [
        flat.ada_calibrate(Written(), grid=grid, method=kind, n_steps=2, backend=backend)
        for backend in (ada.LocalBackend(), two_workers)
    ]
    assert_same(runs[1], tables(runs[0]))


@pytest.mark.sample
def test_all_workers_killed_within_a_step(cluster, two_workers, expected):
    """Those that hold the work and results that were not fetched, too."""
    store, killed = PandasStore(), []
    append = store._append

    def killing(frames):
        append(frames)
        if not killed and "results" in frames and len(store.table("results")) >= 10:
            with distributed.Client(cluster, set_as_default=False) as client:
                killed.extend(client.run(os.getpid).values())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    store._append = killing
    assert_same(run_case("validate_z", backend=two_workers, packet_size=1, db=store), expected["validate_z"])
    assert len(killed) == 2
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in killed)


@pytest.mark.smoke
def test_errors_name_the_point_as_in_one_process(two_workers):
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])
    messages = []
    for backend in (ada.LocalBackend(), two_workers):
        with pytest.raises(ModelError, match=r"^Point \d+: .*NaN") as error:
            flat.validate(NotEverywhere(), threshold=1.96, grid=grid, backend=backend)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


_SCRIPT = textwrap.dedent(
    """
    import os
    import signal
    import sys

    import psutil

    import adagrid as ada
    from adagrid.stores.duckdb import DuckDBStore
    from tests.support.jobcases import run_case


    def stopping(append, count=[0]):
        def stopped(store, frames):
            append(store, frames)
            count[0] += "results" in frames
            if count[0] == 12:
                print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
                os.killpg(0, signal.SIGINT) if sys.argv[2] == "SIGINT" else os.kill(os.getpid(), signal.SIGKILL)

        return stopped


    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it
        DuckDBStore._append = stopping(DuckDBStore._append)
        run_case("validate_z", db=sys.argv[1], packet_size=1, backend=ada.DaskBackend(n_workers=2))
    """
)


def _run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, "script.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        start_new_session=True,
        env=os.environ | IMPORTS,
    )


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_stopped_leader(name, tmp_path, expected):
    """Its workers end with it, and the job goes on in one process."""
    path = tmp_path / "job.duckdb"
    answer = _run(_SCRIPT, tmp_path, str(path), name)
    assert answer.returncode == -signal.Signals[name], answer.stderr
    if name == "SIGINT":  # workers get it, too
        assert answer.stderr.splitlines()[-1].endswith("run the same again to go on.")
        assert "Traceback" not in answer.stderr
    workers = [psutil.Process(int(pid)) for pid in answer.stdout.split() if psutil.pid_exists(int(pid))]
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert len(answer.stdout.split()) >= 2
    with closing(run_case("validate_z", db=path, packet_size=1)) as run:
        assert (run.table("config")["worker_id"] == 1).sum() == 2
        assert_same(run, expected["validate_z"])


_UNGUARDED = textwrap.dedent(
    """
    import adagrid as ada
    from tests.support.jobcases import run_case

    try:
        run_case("validate_z", db="job.duckdb", backend=ada.DaskBackend(n_workers=2))
    except ada.errors.BackendError as error:
        print(error)
    """
)


def test_script_that_starts_itself(tmp_path):
    """The one that was started reports it, once; what it has started ends silently, before it opens the database."""
    answer = _run(_UNGUARDED, tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert 'below: if __name__ == "__main__":' in answer.stdout
    assert len(answer.stdout.splitlines()) == 1


def test_script_from_the_standard_input(tmp_path):
    """Nothing is started, and nothing written."""
    answer = subprocess.run(
        [sys.executable, "-"],
        input=_UNGUARDED,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | IMPORTS,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "<stdin> is no file. Put what it runs into a file, below: if __name__" in answer.stdout
    assert not list(tmp_path.iterdir())


def test_packet_that_kills_every_worker():
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        answers = ada.DaskBackend(n_workers=1).map(os._exit, [1])
        with pytest.raises(BackendError, match="smaller packet_size"):
            list(answers)


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(adagrid.backends.dask, "_PATIENCE", 1)
    with pytest.raises(BackendError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(ada.DaskBackend(address="tcp://127.0.0.1:9").map(abs, [-1]))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"n_workers": 2, "address": "tcp://127.0.0.1:9"}, "one of n_workers=.*; got n_workers, address"),
        ({"n_workers": 0}, "n_workers must be a positive whole number; got 0"),
        ({"n_workers": 1, "n_zones": 0}, "n_zones must be a positive whole number; got 0"),
        ({"n_workers": np.bool_(True)}, "n_workers must be a positive whole number; got np.True_"),
        ({"n_workers": 2.0}, r"n_workers must be a positive whole number; got 2\.0"),
        ({"address": 8786}, "address must be a scheduler's.*; got 8786"),
        ({"address": "127.0.0.1"}, r"with its port, such as .*; got '127\.0\.0\.1'"),
        ({"address": "tcp://somewhere"}, "with its port"),
        ({"address": "tcp://:8786"}, "with its port"),
        ({"address": "[::1]"}, "with its port"),
        ({"address": "::1"}, "with its port"),
        ({"cluster": "tcp://127.0.0.1:9"}, "cluster must be a Dask cluster.*; got 'tcp:"),
    ],
)
def test_bad_arguments(arguments, rule):
    with pytest.raises(InvalidInputError, match=rule):
        ada.DaskBackend(**arguments)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:8786", "tls://host:8786", "wss://host.example:443", "[::1]:8786", "inproc://10.0.0.1/1/2"]
)
def test_addresses(address):
    ada.DaskBackend(address=address)


def test_counts_of_numpy():
    backend = ada.DaskBackend(np.int64(2), np.uint8(3), n_workers=np.int32(1))
    assert [type(number) for number in (backend.n_zones, backend.coordinate_every)] == [int, int]


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"adagrid\[dask\]"):
        ada.DaskBackend(n_workers=1)
